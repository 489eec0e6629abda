/**
 * From what a user types to an id: exact id, exact name, unique prefix, in this order. Works on a sorted
 * array of ids, so that the cost grows with the logarithm of their number.
 */
import { invalidArgument, type MydockerError, notFound, quoteId } from './error.ts';
import { isId, SHORT_ID_CHARS, shortId } from './ids.ts';
import { lookupReference, parseReference } from './reference.ts';

/** What is needed to resolve: the sorted ids and a look-up by exact name. */
export interface IdIndex {
  /** Sorted by code unit. */
  readonly ids: readonly string[];
  readonly idByName: (name: string) => string | undefined;
}

const SHOWN_CANDIDATES = 5;

/** Position of the first id that is not below `text`. */
export function lowerBound(ids: readonly string[], text: string): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ids[middle] as string) < text) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts an id in its place; an id that is there already stays once. */
export function insertSorted(ids: string[], id: string): void {
  const at = lowerBound(ids, id);
  if (ids[at] !== id) ids.splice(at, 0, id);
}

/** Takes an id out; nothing happens when it is not there. */
export function removeSorted(ids: string[], id: string): void {
  const at = lowerBound(ids, id);
  if (ids[at] === id) ids.splice(at, 1);
}

/** The first ids that begin with a prefix, at most `limit`. */
export function withPrefix(ids: readonly string[], prefix: string, limit: number): string[] {
  const found: string[] = [];
  for (let at = lowerBound(ids, prefix); found.length < limit; at += 1) {
    const id = ids[at];
    if (id === undefined || !id.startsWith(prefix)) break;
    found.push(id);
  }
  return found;
}

/**
 * Id of the network that a user means.
 * @param query - id, name or unique prefix of an id.
 * @throws MydockerError as resolveContainer.
 */
export function resolveNetwork(query: string, index: IdIndex): string {
  return byIdNameOrPrefix('network', query, index);
}

/**
 * Id of the container that a user means.
 * @param query - id, name or unique prefix of an id.
 * @throws MydockerError `not-found`; `invalid-argument` (reason AMBIGUOUS_ID) naming the candidates.
 */
export function resolveContainer(query: string, index: IdIndex): string {
  return byIdNameOrPrefix('container', query, index);
}

function byIdNameOrPrefix(noun: 'container' | 'network', query: string, index: IdIndex): string {
  if (isId(query)) {
    if (index.ids[lowerBound(index.ids, query)] === query) return query;
    throw missing(noun, query);
  }
  const named = index.idByName(query);
  if (named !== undefined) return named;
  if (!/^[0-9a-f]{1,63}$/.test(query)) throw missing(noun, query);
  return uniquePrefix(noun, query, query, index.ids);
}

/**
 * Id of the image that a user means.
 * @param query - image id with or without `sha256:`, reference in short or full form, or unique id prefix.
 * @param index - `idByName` is given full references.
 * @throws as {@link resolveContainer}; `invalid-argument` also for a malformed reference.
 */
export function resolveImage(query: string, index: IdIndex): string {
  const hex = query.startsWith('sha256:') ? query.slice('sha256:'.length) : query;
  const hexOnly = /^[0-9a-f]{1,64}$/.test(hex);
  if (hexOnly && (hex !== query || hex.length === 64)) {
    return uniquePrefix('image', query, `sha256:${hex}`, index.ids);
  }
  const named = index.idByName(lookupReference(parseReference(query)));
  if (named !== undefined && hexOnly && hex.length >= SHORT_ID_CHARS)
    refuseLookAlike(query, named, index.ids);
  if (named !== undefined) return named;
  if (!hexOnly) throw missing('image', query);
  return uniquePrefix('image', query, `sha256:${hex}`, index.ids);
}

/** An archive may bring a name that looks like the short id of another image: nobody shall run that by mistake. */
function refuseLookAlike(query: string, named: string, ids: readonly string[]): void {
  const [other] = withPrefix(ids, `sha256:${query}`, 2).filter((id) => id !== named);
  if (other === undefined) return;
  const why = `it is the name of ${shortId(named)} and the beginning of ${other}`;
  throw invalidArgument(`cannot find image ${quoteId(query)}: ${why}`, {
    reason: 'AMBIGUOUS_ID',
    hint: 'give the name with its tag, or the whole id',
  });
}

function uniquePrefix(
  noun: keyof typeof LISTS,
  query: string,
  prefix: string,
  ids: readonly string[],
): string {
  const found = withPrefix(ids, prefix, SHOWN_CANDIDATES + 1);
  const [first, second] = found;
  if (first === undefined) throw missing(noun, query);
  if (second === undefined) return first;
  const shown = found.slice(0, SHOWN_CANDIDATES).map((id) => distinct(id, found));
  const more = found.length > SHOWN_CANDIDATES ? ', …' : '';
  throw invalidArgument(
    `cannot find ${noun} ${quoteId(query)}: several ids begin with it: ${shown.join(', ')}${more}`,
    { reason: 'AMBIGUOUS_ID', hint: 'give more digits' },
  );
}

/** The usual 12 digits, or the whole id where 12 do not tell it from the others. */
function distinct(id: string, others: readonly string[]): string {
  const short = shortId(id);
  return others.filter((o) => shortId(o) === short).length > 1 ? id : short;
}

/** What shows all there is of a kind. */
const LISTS = { image: 'images', container: 'ps', network: 'networks' } as const;

function missing(noun: keyof typeof LISTS, query: string): MydockerError {
  return notFound(noun, query, `mydocker ${LISTS[noun]} shows what there is`);
}

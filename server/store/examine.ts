/**
 * Decides at open whether anything was lost, and brings back what can be: container records from their
 * config.json, unique names and references, counters that must never go back. Nothing is written here.
 */
import type { ContainerRecord } from '../model/container.ts';
import { shortId } from '../model/ids.ts';
import type { ImageRecord } from '../model/image.ts';
import { asContainerRecord } from './container-shape.ts';
import type { Contents, Records } from './load.ts';
import { TABLES, type TableName } from './schema.ts';
import type { OpenReport, Recoverable } from './store.ts';
import { addDelta, emptyTally, sameRecords, type Tally } from './tally.ts';

/** What is known from outside the database. */
export interface Evidence {
  readonly checkpoint: Tally | undefined;
  readonly dropped: readonly string[];
  readonly repairedFrom: string | undefined;
}

/** Reasons to believe that something is missing, one phrase each; none on a good day. */
export function suspicions(contents: Contents, evidence: Evidence): string[] {
  const { tally, found, damagedKeys, indexes, records, empty } = contents;
  const { checkpoint } = evidence;
  const reasons: string[] = [];
  if (evidence.repairedFrom !== undefined) reasons.push('the database had to be repaired');
  if (evidence.dropped.length > 0) reasons.push('LevelDB dropped a part of its log');
  if (damagedKeys.length > 0) reasons.push(`${damagedKeys.length} values are damaged`);
  if (!empty && tally === undefined) reasons.push('the tally is missing');
  if (tally !== undefined && !sameRecords(tally, found))
    reasons.push('the records do not add up to the tally');
  if (checkpoint !== undefined && checkpoint.mutations > (tally?.mutations ?? 0)) {
    reasons.push('the database is behind its checkpoint');
  }
  const dangling =
    [...indexes['container-name'].values()].some((id) => !records.container.has(id)) ||
    [...indexes['image-reference'].values()].some((id) => !records.image.has(id));
  if (dangling) reasons.push('an index names a record that is missing');
  return reasons;
}

/** What became of containers that are on the disk but not in the database. */
export interface Rebuilt {
  readonly rebuilt: readonly string[];
  readonly orphans: readonly string[];
}

/**
 * Adds the containers of the disk to the records.
 * @param lossSuspected - without it a folder without a record is half made or half removed: an orphan.
 */
export function rebuild(
  records: Records,
  onDisk: readonly Recoverable[],
  lossSuspected: boolean,
): Rebuilt & { readonly unreadable: readonly string[] } {
  const rebuilt: string[] = [];
  const orphans: string[] = [];
  const unreadable: string[] = [];
  for (const { id, record } of onDisk) {
    if (records.container.has(id)) continue;
    if (!lossSuspected) {
      orphans.push(id);
      continue;
    }
    const container = asContainerRecord(id, record);
    if (container === undefined) unreadable.push(id);
    else {
      // A client that still has the lost revision must not be able to write over this one.
      records.container.set(id, { ...container, rev: container.rev + 1_000n });
      rebuilt.push(id);
    }
  }
  return { rebuilt, orphans, unreadable };
}

/** After a loss two records may claim one name or reference: the newer one keeps it. */
export function settleUnique(records: Records): void {
  const names = new Set<string>();
  for (const container of newestFirst(records.container)) {
    if (names.has(container.name)) records.container.set(container.id, renamed(container));
    else names.add(container.name);
  }
  const references = new Set<string>();
  for (const image of newestFirst(records.image)) {
    const own = image.references.filter((reference) => !references.has(reference));
    for (const reference of own) references.add(reference);
    if (own.length < image.references.length) {
      records.image.set(image.id, { ...image, references: own, rev: image.rev + 1n });
    }
  }
}

/** The tally of the records as they are now, its counters above everything ever seen. */
export function settledTally(
  contents: Contents,
  checkpoint: Tally | undefined,
  highestSerial: bigint,
): Tally {
  const tally = emptyTally();
  const { records } = contents;
  for (const table of TABLES) {
    for (const [id, record] of records[table]) addDelta(tally, { table, id, revAfter: record.rev });
  }
  const known = [contents.tally, checkpoint].filter((t) => t !== undefined);
  tally.mutations = Math.max(0, ...known.map((t) => t.mutations)) + 1;
  tally.lastSeq = max([contents.lastSeq, ...known.map((t) => t.lastSeq)]);
  const serials = [
    highestSerial,
    ...[...records.layer.values()].map((layer) => layer.serial),
    ...[...records.image.values()].flatMap((image) => image.layers.map((layer) => layer.serial)),
    ...[...records.container.values()].flatMap((container) => container.layers),
  ];
  tally.nextSerial = max([max(serials) + 1n, ...known.map((t) => t.nextSerial)]);
  return tally;
}

/** What is gone for good, one phrase each. */
export function losses(
  contents: Contents,
  checkpoint: Tally | undefined,
  unreadable: readonly string[],
): string[] {
  const { records, indexes, tally } = contents;
  const lost = unreadable.map((id) => `container ${shortId(id)}: its config.json is damaged`);
  const named: Record<TableName, number> = { ...emptyTally().counts, container: lost.length };
  for (const [name, id] of indexes['container-name']) {
    if (records.container.has(id) || unreadable.includes(id)) continue;
    lost.push(`container ${name} (${shortId(id)})`);
    named.container += 1;
  }
  const images = new Set<string>();
  for (const [reference, id] of indexes['image-reference']) {
    if (records.image.has(id)) continue;
    lost.push(`image ${reference} (${shortId(id)})`);
    images.add(id);
  }
  named.image = images.size;
  // A database behind its checkpoint has a tally of the past; the checkpoint is nearer to the truth.
  const behind = checkpoint !== undefined && checkpoint.mutations > (tally?.mutations ?? 0);
  const expected = behind ? checkpoint : tally;
  for (const table of expected === undefined ? [] : TABLES) {
    const missing = (expected?.counts[table] ?? 0) - records[table].size - named[table];
    if (missing > 0) lost.push(`${missing} ${plural(table, missing)}`);
  }
  return lost;
}

/** Whether the report has anything to say. */
export function isDamaged(report: Omit<OpenReport, 'damaged' | 'reasons'>): boolean {
  const { repairedFrom, dropped, rebuilt, lost } = report;
  return repairedFrom !== undefined || dropped.length + rebuilt.length + lost.length > 0;
}

function plural(table: TableName, count: number): string {
  return `${table} record${count === 1 ? '' : 's'}`;
}

function newestFirst<T extends ContainerRecord | ImageRecord>(records: ReadonlyMap<string, T>): T[] {
  return [...records.values()].sort((a, b) => (a.updatedAt > b.updatedAt ? -1 : 1));
}

function renamed(container: ContainerRecord): ContainerRecord {
  return { ...container, name: `recovered-${shortId(container.id)}`, rev: container.rev + 1n };
}

function max(values: readonly bigint[]): bigint {
  let largest = 0n;
  for (const value of values) if (value > largest) largest = value;
  return largest;
}

/**
 * What a registry asks for before it answers: the header of a 401, read strictly. Nothing is taken out of one
 * that is malformed.
 * Source: RFC 9110, 11.6.1; RFC 6750, 3.
 */

/** One way in that is offered. */
export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** By name in lower case; the first of equal names. */
  readonly parameters: ReadonlyMap<string, string>;
}

const MAX_CHALLENGES = 16;
const MAX_PARAMETERS = 32;
const SCHEME = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const PARAMETER =
  /([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*(?:"((?:[^"\\\p{Cc}]|\\[\x20-\x7e])*)"|([!#$%&'*+.^_`|~0-9A-Za-z-]+))/uy;
const GAP = /[ \t,]*/y;
const SPACE = /[ \t]+/y;

/**
 * @param header - of all `WWW-Authenticate` together, with commas between.
 * @returns undefined when it cannot be read.
 */
export function parseChallenges(header: string): readonly Challenge[] | undefined {
  const found: { scheme: string; parameters: Map<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  take(GAP);
  while (at < header.length) {
    const last = found.at(-1);
    const parameter = last === undefined ? null : take(PARAMETER);
    if (parameter !== null && last !== undefined) {
      const name = (parameter[1] ?? '').toLowerCase();
      const value = parameter[2]?.replaceAll(/\\(.)/g, '$1') ?? parameter[3] ?? '';
      if (!last.parameters.has(name)) last.parameters.set(name, value);
      if (last.parameters.size > MAX_PARAMETERS) return undefined;
      // What follows is another parameter or challenge, never a rest of this value.
      if (at < header.length && !/[ \t,]/.test(header[at] ?? '')) return undefined;
    } else {
      const scheme = take(SCHEME)?.[0];
      if (scheme === undefined || (take(SPACE) === null && at < header.length && header[at] !== ','))
        return undefined;
      if (found.length >= MAX_CHALLENGES) return undefined;
      found.push({ scheme: scheme.toLowerCase(), parameters: new Map() });
    }
    take(GAP);
  }
  return found;
}

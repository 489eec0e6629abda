/** `idmap` of a mount, in podman's spelling. */
import type { IdMap } from '../../proto/gen/mydocker/v1/config.ts';

/** As create sends it. */
export type IdMapFields = NonNullable<Parameters<typeof IdMap.create>[0]>;

/**
 * @param text - `uids=0-1-10#10-11-10;gids=0-100-10`: on the disk, inside, how many. A `@` before a range, relative to the
 * container's user namespace, says nothing more: that is the host's.
 * @throws what `bad` makes.
 */
export function parseIdMap(text: string, bad: (why: string) => Error): IdMapFields {
  const found: { uids: Range[]; gids: Range[] } = { uids: [], gids: [] };
  // Alone it asks for the container's user namespace; the server says that there is none.
  if (text === '' || text === 'true') return found;
  for (const part of text.split(';')) {
    const [, kind, list = ''] = /^(uids|gids)=(.*)$/.exec(part) ?? [];
    if (kind !== 'uids' && kind !== 'gids')
      throw bad(`idmap has uids= and gids=, not ${JSON.stringify(part)}`);
    if (found[kind].length > 0) throw bad(`idmap has ${kind} twice`);
    found[kind] = list.split('#').map((range) => parseRange(range, bad));
  }
  return found;
}

interface Range {
  /** On the disk. */
  readonly containerId: number;
  /** Inside. */
  readonly hostId: number;
  readonly count: number;
}

function parseRange(text: string, bad: (why: string) => Error): Range {
  const numbers = (/^@?(\d{1,10})-(\d{1,10})-(\d{1,10})$/.exec(text) ?? []).slice(1).map(Number);
  const [containerId, hostId, count] = numbers;
  if (containerId === undefined || hostId === undefined || count === undefined || count === 0)
    throw bad(`a range of idmap is DISK-INSIDE-COUNT, not ${JSON.stringify(text)}`);
  if (numbers.some((number) => number > 0xffff_ffff)) throw bad(`${JSON.stringify(text)} has no such ids`);
  return { containerId, hostId, count };
}

/**
 * Owners of a mount's files as its container sees them: ranges of ids on the disk, and which ids those are inside. Ids in
 * no range are nobody inside, and nobody can give a file to them.
 */
import { type ErrorDetails, invalidArgument, type MydockerError } from './error.ts';

/** A range of ids, as the runtime specification's LinuxIDMapping of a mount. */
export interface IdRange {
  /** First one on the disk. */
  readonly containerID: number;
  /** First one inside. */
  readonly hostID: number;
  readonly size: number;
}

/** Both kinds; an empty list leaves them all as they are. */
export interface IdMap {
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}

/** The kernel takes 340 ranges (UID_GID_MAP_MAX_EXTENTS), and less than a page of them. */
const MAX_RANGES = 340;
const MAX_BYTES = 4095;
/** (uid_t)-1 is no user. */
const MAX_IDS = 0xffff_ffff;

/** @throws MydockerError `invalid-argument` (CONFIG_INVALID) for what the kernel would refuse. */
export function checkIdMap({ uids, gids }: IdMap, destination: string): void {
  const bad = (why: string): MydockerError =>
    invalidArgument(`invalid idmap of mount ${destination}: ${why}`, {
      reason: 'CONFIG_INVALID',
      hint: 'for example idmap=uids=0-1000-1#1-100000-65535;gids=0-1000-1',
    } satisfies ErrorDetails);
  if (uids.length + gids.length === 0)
    throw bad('it says no ids, and the container has no user namespace of its own that would');
  for (const ranges of [uids, gids]) {
    if (ranges.length > MAX_RANGES || idMapFile(ranges).length > MAX_BYTES)
      throw bad('it has more ranges than the kernel takes');
    for (const { containerID, hostID, size } of ranges) {
      if (size < 1) throw bad('a range has no ids');
      if (Math.max(containerID, hostID) + size > MAX_IDS) throw bad(`a range goes above ${MAX_IDS - 1}`);
    }
    for (const side of ['containerID', 'hostID'] as const) {
      const sorted = ranges.toSorted((a, b) => a[side] - b[side]);
      if (
        sorted.some(
          (range, index) => range[side] < (sorted[index - 1]?.[side] ?? 0) + (sorted[index - 1]?.size ?? 0),
        )
      )
        throw bad('two of its ranges overlap');
    }
  }
}

/** Lines of /proc/PID/uid_map and gid_map, user_namespaces(7). */
export const idMapFile = (ranges: readonly IdRange[]): string =>
  (ranges.length === 0 ? [{ containerID: 0, hostID: 0, size: MAX_IDS }] : ranges)
    .map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`)
    .join('');

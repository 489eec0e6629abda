/**
 * Removes a tree that a container or an archive has shaped: by fds alone, no symlink followed, no mount
 * entered, and with a bounded number of fds however deep it is.
 */
import { closeSync, constants } from 'node:fs';
import { SyscallError } from '../../native/errno.ts';
import { DIRENT, OPEN, openAt2, RESOLVE, readDirFd, statAt } from '../../native/tree-read.ts';
import { renameAt, unlinkAt } from '../../native/tree-write.ts';

const { S_IFMT, S_IFDIR } = constants;

/** Directories deeper than this are first moved up to the top, so that depth costs neither fds nor stack. */
const MAX_DEPTH = 64;

/** How a directory of an untrusted tree is opened to be read: itself, or not at all. */
const HOW_DIRECTORY = {
  flags: OPEN.readOnly | OPEN.directory | OPEN.noFollow,
  resolve: RESOLVE.beneath | RESOLVE.noSymlinks | RESOLVE.noMagicLinks | RESOLVE.noMounts,
};

/**
 * Removes everything in a directory, not the directory.
 * @param dirFd - open for reading or as O_PATH.
 * @returns how many names were removed.
 * @throws as {@link removeTreeAt}
 */
export function emptyDirectory(dirFd: number): number {
  const moved: Moved = new Map();
  return empty(dirFd, dirFd, 0, moved) + removeMoved(dirFd, moved);
}

/**
 * Removes one name, with all below it when it is a directory.
 * @returns how many names were removed.
 * @throws SyscallError ENOENT when there is no such name, EXDEV at a mount point, EPERM at an immutable file, and
 * what else the kernel says.
 */
export function removeTreeAt(dirFd: number, name: Uint8Array): number {
  const moved: Moved = new Map();
  return removeAt(dirFd, name, dirFd, 0, moved) + removeMoved(dirFd, moved);
}

/**
 * Removes every tree in a directory, also what comes into it meanwhile; one that cannot be removed does not
 * keep the others.
 * @param dirFd - open for reading or as O_PATH.
 * @returns how many names were removed, and the trees of which some stays.
 */
export function emptyTrees(dirFd: number): { readonly removed: number; readonly failed: readonly string[] } {
  const failed = new Set<string>();
  let removed = 0;
  for (let found = true; found; ) {
    found = false;
    for (const name of namesIn(dirFd)) {
      const text = name.toString();
      if (failed.has(text)) continue;
      found = true;
      try {
        removed += removeTreeAt(dirFd, name);
      } catch (error) {
        if (!(error instanceof SyscallError)) throw error;
        failed.add(text);
      }
    }
  }
  return { removed, failed: [...failed] };
}

/** @param dirFd - open for reading or as O_PATH. @returns what is in it now. */
export function namesIn(dirFd: number): Buffer[] {
  const fd = openAt2(dirFd, '.', HOW_DIRECTORY);
  try {
    const names: Buffer[] = [];
    for (let batch = readDirFd(fd); batch !== undefined; batch = readDirFd(fd))
      names.push(...batch.map(({ name }) => name));
    return names;
  } finally {
    closeSync(fd);
  }
}

/** Names that were moved up to the top directory and wait for their turn, by their bytes as latin1. */
type Moved = Map<string, Buffer>;

function removeMoved(topFd: number, moved: Moved): number {
  let removed = 0;
  // Removing one may move more up, which a Map's iterator sees too.
  for (const [key, name] of moved) {
    removed += removeAt(topFd, name, topFd, 0, moved);
    moved.delete(key);
  }
  return removed;
}

function removeAt(dirFd: number, name: Uint8Array, topFd: number, depth: number, moved: Moved): number {
  const status = statAt(dirFd, name);
  if (status === undefined) throw new SyscallError('statx', 2, Buffer.from(name).toString());
  if ((status.mode & S_IFMT) !== S_IFDIR) {
    unlinkAt(dirFd, name);
    return 1;
  }
  return removeDirectory(dirFd, name, topFd, depth, moved);
}

function removeDirectory(
  dirFd: number,
  name: Uint8Array,
  topFd: number,
  depth: number,
  moved: Moved,
): number {
  if (depth > MAX_DEPTH) {
    moveUp(dirFd, name, topFd, moved);
    return 0;
  }
  const fd = openAt2(dirFd, name, HOW_DIRECTORY);
  let removed = 0;
  try {
    removed = empty(fd, topFd, depth, moved);
  } finally {
    closeSync(fd);
  }
  unlinkAt(dirFd, name, true);
  return removed + 1;
}

/** Passes over a directory until one finds nothing: names may be missed while others are removed. */
function empty(dirFd: number, topFd: number, depth: number, moved: Moved): number {
  let removed = 0;
  for (let found = true; found; ) {
    found = false;
    const fd = openAt2(dirFd, '.', HOW_DIRECTORY);
    try {
      for (let batch = readDirFd(fd); batch !== undefined; batch = readDirFd(fd)) {
        for (const entry of batch) {
          // What was moved up to here waits for its turn.
          if (dirFd === topFd && moved.has(entry.name.toString('latin1'))) continue;
          found = true;
          removed += removeEntry(dirFd, entry, topFd, depth, moved);
        }
      }
    } finally {
      closeSync(fd);
    }
  }
  return removed;
}

function removeEntry(
  dirFd: number,
  entry: { readonly name: Buffer; readonly type: number },
  topFd: number,
  depth: number,
  moved: Moved,
): number {
  if (entry.type === DIRENT.directory) return removeDirectory(dirFd, entry.name, topFd, depth + 1, moved);
  if (entry.type === DIRENT.unknown) return removeAt(dirFd, entry.name, topFd, depth + 1, moved);
  unlinkAt(dirFd, entry.name);
  return 1;
}

/** Moves a directory to the top, under a name that is free there. */
function moveUp(dirFd: number, name: Uint8Array, topFd: number, moved: Moved): void {
  for (let number = moved.size; ; number += 1) {
    const up = Buffer.from(`.removing-${number}`);
    if (statAt(topFd, up) !== undefined) continue;
    renameAt(dirFd, name, topFd, up);
    moved.set(up.toString('latin1'), up);
    return;
  }
}

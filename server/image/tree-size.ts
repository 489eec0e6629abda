/**
 * How much of the disk a tree takes, as du counts it: allocated blocks, a file of several names once. The tree
 * may be a container's that runs: it is read by descriptors, no symlink is followed, no mount entered, and what
 * is moved or removed meanwhile is left out.
 */
import { closeSync, constants } from 'node:fs';
import { SyscallError } from '../../native/errno.ts';
import { DIRENT, OPEN, openAt2, RESOLVE, readDirFd, statAt } from '../../native/tree-read.ts';

const { S_IFMT, S_IFDIR } = constants;

/** What a tree takes. */
export interface TreeSize {
  readonly bytes: bigint;
  /** Names in it, its own included. */
  readonly names: number;
}

/** Directories open at a time; those above are opened again through `..`. */
const MAX_OPEN = 64;

const BLOCK_BYTES = 512n;

const HOW_DIRECTORY = {
  flags: OPEN.readOnly | OPEN.directory | OPEN.noFollow,
  resolve: RESOLVE.beneath | RESOLVE.noSymlinks | RESOLVE.noMagicLinks | RESOLVE.noMounts,
};
/** The one way up; whether it is the directory that one came from is looked at. */
const HOW_PARENT = {
  flags: OPEN.readOnly | OPEN.directory | OPEN.noFollow,
  resolve: RESOLVE.noSymlinks | RESOLVE.noMagicLinks | RESOLVE.noMounts,
};

interface Level {
  /** Undefined while it is closed because of too many above it. */
  fd: number | undefined;
  readonly inode: bigint;
  /** Directories that are still to be looked into. */
  readonly waiting: Buffer[];
}

interface Sum {
  bytes: bigint;
  names: number;
  /** Files of several names that were counted. */
  readonly seen: Set<bigint>;
}

/** @returns all zero where there is nothing of this name. */
export function treeSize(path: string): TreeSize {
  const sum: Sum = { bytes: 0n, names: 0, seen: new Set() };
  const name = Buffer.from(path);
  const status = absentIsFine(() => statAt(undefined, name));
  if (status === undefined) return { bytes: 0n, names: 0 };
  sum.bytes += status.blocks * BLOCK_BYTES;
  sum.names += 1;
  if ((status.mode & S_IFMT) === S_IFDIR) {
    const fd = absentIsFine(() =>
      openAt2(undefined, name, { ...HOW_DIRECTORY, resolve: RESOLVE.noMagicLinks }),
    );
    if (fd !== undefined) walk(fd, status.inode, sum);
  }
  return { bytes: sum.bytes, names: sum.names };
}

/** @param top - closed at the end. */
function walk(top: number, inode: bigint, sum: Sum): void {
  const levels: Level[] = [];
  try {
    levels.push({ fd: top, inode, waiting: list(top, sum) });
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const name = level.fd === undefined ? undefined : level.waiting.pop();
      if (name === undefined) leave(levels);
      else enter(levels, level.fd as number, name, sum);
    }
  } finally {
    for (const { fd } of levels) if (fd !== undefined) closeSync(fd);
  }
}

function enter(levels: Level[], parent: number, name: Buffer, sum: Sum): void {
  const fd = absentIsFine(() => openAt2(parent, name, HOW_DIRECTORY));
  if (fd === undefined) return;
  const inode = statAt(fd, Buffer.from('.'))?.inode ?? 0n;
  levels.push({ fd, inode, waiting: list(fd, sum) });
  const far = levels[levels.length - 1 - MAX_OPEN];
  if (far?.fd === undefined) return;
  closeSync(far.fd);
  far.fd = undefined;
}

/** A parent that cannot be found again was moved: what waits there is left out. */
function leave(levels: Level[]): void {
  const left = levels.pop();
  const above = levels.at(-1);
  if (left?.fd === undefined) return;
  if (above !== undefined && above.fd === undefined) {
    const fd = absentIsFine(() => openAt2(left.fd, '..', HOW_PARENT));
    if (fd !== undefined && statAt(fd, Buffer.from('.'))?.inode === above.inode) above.fd = fd;
    else if (fd !== undefined) closeSync(fd);
  }
  closeSync(left.fd);
}

/** Counts what is in a directory. @returns the directories in it. */
function list(fd: number, sum: Sum): Buffer[] {
  const directories: Buffer[] = [];
  for (let batch = readDirFd(fd); batch !== undefined; batch = readDirFd(fd)) {
    for (const { name, type } of batch) {
      const status = absentIsFine(() => statAt(fd, name));
      if (status === undefined) continue;
      const isDirectory = type === DIRENT.directory || (status.mode & S_IFMT) === S_IFDIR;
      if (!isDirectory && status.links > 1 && isKnown(sum.seen, status.inode)) continue;
      sum.bytes += status.blocks * BLOCK_BYTES;
      sum.names += 1;
      // Kept while others are read: the buffer that it lies in is a whole batch.
      if (isDirectory) directories.push(Buffer.from(name));
    }
  }
  return directories;
}

function isKnown(seen: Set<bigint>, inode: bigint): boolean {
  if (seen.has(inode)) return true;
  seen.add(inode);
  return false;
}

const GONE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV']);

function absentIsFine<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof SyscallError && GONE.has(error.errno)) return undefined;
    throw error;
  }
}

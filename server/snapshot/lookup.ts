/**
 * Looks up one file in a stack of layers as overlayfs would show it, by hand: no mount, no limit of layers
 * (before Linux 6.5 fsconfig takes 256 bytes of lowerdir), some microseconds for each directory on the way.
 * Valid for layers that were mounted with redirect_dir=off and metacopy=off, as all of ours are.
 */
import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync } from 'node:fs';
import {
  type FileStatus,
  getXattrFd,
  listXattrs,
  OPEN,
  openAt2,
  RESOLVE,
  readDirFd,
  readLinkAt,
  statAt,
} from '../../native/tree-read.ts';
import { invalidArgument, quoteId } from '../model/error.ts';
import { fileKind } from '../model/file-kind.ts';

const { S_IFMT, S_IFDIR, S_IFLNK, S_IFCHR, S_IFREG } = constants;

/** As many symlinks as the kernel follows in one path. */
const MAX_SYMLINKS = 40;
/** Longest path, symlinks put in: what the kernel takes. */
const MAX_PATH_BYTES = 4096;

const OPAQUE_XATTR = 'trusted.overlay.opaque';

const WITHIN = RESOLVE.beneath | RESOLVE.noSymlinks | RESOLVE.noMagicLinks;
const HOW_DIRECTORY = { flags: OPEN.readOnly | OPEN.directory | OPEN.noFollow, resolve: WITHIN };
const HOW_HANDLE = { flags: OPEN.path | OPEN.noFollow, resolve: WITHIN };

/** The directories of all layers that one merged directory is made of, topmost first. */
type Merged = readonly number[];

/** What a name in a merged directory is. */
type Found =
  | { readonly kind: 'directory'; readonly merged: Merged }
  | { readonly kind: 'other'; readonly dirFd: number; readonly status: FileStatus }
  | { readonly kind: 'nothing' };

/**
 * Reads a regular file of a merged tree.
 * @param dirs - folders of the layers, topmost first.
 * @param path - inside the root, absolute or not.
 * @param maxBytes - a larger file is refused before it is read.
 * @returns undefined when the path leads to nothing.
 * @throws MydockerError `invalid-argument` when it leads to something else than a file (FILE_NOT_REGULAR), to
 * too large a file (FILE_TOO_LARGE) or round in a circle; SyscallError when a layer cannot be read.
 */
export function readMergedFile(dirs: readonly string[], path: string, maxBytes: number): Buffer | undefined {
  const levels: Merged[] = [];
  try {
    levels.push(dirs.map((dir) => openSync(dir, OPEN.readOnly | OPEN.directory)));
    const found = walk(levels, path);
    if (found.kind === 'nothing') return undefined;
    if (found.kind !== 'file') throw notRegular(path, S_IFDIR);
    return readFound(found.dirFd, found.name, path, maxBytes);
  } finally {
    for (const fd of levels.flat()) closeSync(fd);
  }
}

/** A directory of a merged tree. */
export interface MergedDirectory {
  /** Folders on the disk that it is made of, topmost first. */
  readonly folders: readonly string[];
  /** Of the topmost one, as everything that is shown of it. */
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
  /** Nothing is in any of them and the topmost has no attributes: another with this owner and mode is as good. */
  readonly isBare: boolean;
}

/**
 * Looks a directory of a merged tree up.
 * @param dirs - folders of the layers, topmost first.
 * @param path - inside the root, absolute or not.
 * @returns undefined when the path leads to nothing.
 * @throws MydockerError `invalid-argument` (FILE_NOT_DIRECTORY) when it leads to something else; SyscallError.
 */
export function findMergedDirectory(dirs: readonly string[], path: string): MergedDirectory | undefined {
  const levels: Merged[] = [];
  try {
    levels.push(dirs.map((dir) => openSync(dir, OPEN.readOnly | OPEN.directory)));
    const found = walk(levels, path);
    if (found.kind === 'nothing') return undefined;
    if (found.kind === 'file')
      throw invalidArgument(`cannot use ${quoteId(path)}: it is not a directory`, {
        reason: 'FILE_NOT_DIRECTORY',
      });
    const merged = levels.at(-1) ?? [];
    const { uid, gid, mode } = fstatSync(merged[0] ?? -1);
    return {
      folders: merged.map((fd) => readlinkSync(`/proc/self/fd/${fd}`)),
      ...{ uid, gid, mode: mode & 0o7777 },
      isBare: merged.every((fd) => isEmptyFd(fd)) && listXattrs(merged[0] ?? -1).every(isOverlayMark),
    };
  } finally {
    for (const fd of levels.flat()) closeSync(fd);
  }
}

const isOverlayMark = (name: string): boolean => name.startsWith('trusted.overlay.');

function isEmptyFd(fd: number): boolean {
  for (let batch = readDirFd(fd); batch !== undefined; batch = readDirFd(fd))
    if (batch.length > 0) return false;
  return true;
}

type Walked =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'directory' }
  | { readonly kind: 'file'; readonly dirFd: number; readonly name: Buffer };

/** @param levels - the directories from the root down; what is opened on the way is pushed. */
function walk(levels: Merged[], path: string): Walked {
  let rest = components(Buffer.from(path));
  let symlinks = 0;
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    if (name.equals(DOT_DOT)) {
      leave(levels);
      continue;
    }
    const here = levels.at(-1) ?? [];
    const found = findIn(here, name);
    if (found.kind === 'nothing') return found;
    if (found.kind === 'directory') {
      levels.push(found.merged);
    } else if ((found.status.mode & S_IFMT) === S_IFLNK) {
      symlinks += 1;
      const target = readLinkAt(found.dirFd, name);
      rest = [...components(target), ...rest];
      if (symlinks > MAX_SYMLINKS || rest.length > MAX_PATH_BYTES) throw circle(path);
      if (target[0] === 0x2f) while (levels.length > 1) leave(levels);
    } else if (rest.length > 0) {
      return { kind: 'nothing' };
    } else {
      return { kind: 'file', dirFd: found.dirFd, name };
    }
  }
  return { kind: 'directory' };
}

const DOT_DOT = Buffer.from('..');

/** One directory up; the root is its own parent. */
function leave(levels: Merged[]): void {
  if (levels.length === 1) return;
  for (const fd of levels.pop() ?? []) closeSync(fd);
}

function components(path: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at <= path.length; ) {
    const slash = path.indexOf(0x2f, at);
    const end = slash < 0 ? path.length : slash;
    const part = path.subarray(at, end);
    if (part.length > 0 && !(part.length === 1 && part[0] === 0x2e)) parts.push(part);
    at = end + 1;
  }
  return parts;
}

/** What overlayfs finds: the topmost layer decides, and directories go on below until something ends them. */
function findIn(here: Merged, name: Buffer): Found {
  const merged: number[] = [];
  try {
    for (const dirFd of here) {
      const status = statAt(dirFd, name);
      if (status === undefined) continue;
      if ((status.mode & S_IFMT) !== S_IFDIR) {
        if (merged.length > 0 || isWhiteout(status)) break;
        return { kind: 'other', dirFd, status };
      }
      const fd = openAt2(dirFd, name, HOW_DIRECTORY);
      merged.push(fd);
      if (getXattrFd(fd, OPAQUE_XATTR)?.toString() === 'y') break;
    }
  } catch (error) {
    for (const fd of merged) closeSync(fd);
    throw error;
  }
  return merged.length > 0 ? { kind: 'directory', merged } : { kind: 'nothing' };
}

function isWhiteout(status: FileStatus): boolean {
  return (status.mode & S_IFMT) === S_IFCHR && status.deviceMajor === 0 && status.deviceMinor === 0;
}

/**
 * A handle first, then the check, then the opening of just that inode: a container that swaps the file for a
 * device meanwhile cannot make us open that.
 */
function readFound(dirFd: number, name: Buffer, path: string, maxBytes: number): Buffer {
  const handle = openAt2(dirFd, name, HOW_HANDLE);
  try {
    const { mode, size } = fstatSync(handle);
    if ((mode & S_IFMT) !== S_IFREG) throw notRegular(path, mode);
    if (size > maxBytes) throw tooLarge(path, maxBytes);
    const fd = openSync(`/proc/self/fd/${handle}`, OPEN.readOnly | OPEN.nonBlock);
    try {
      return readUpTo(fd, maxBytes, path);
    } finally {
      closeSync(fd);
    }
  } finally {
    closeSync(handle);
  }
}

/** The size is only a hint: a container may be writing to the file. */
function readUpTo(fd: number, maxBytes: number, path: string): Buffer {
  const parts: Buffer[] = [];
  for (let total = 0; ; ) {
    const part = Buffer.alloc(65_536);
    const size = readSync(fd, part);
    if (size === 0) return Buffer.concat(parts);
    total += size;
    if (total > maxBytes) throw tooLarge(path, maxBytes);
    parts.push(part.subarray(0, size));
  }
}

function notRegular(path: string, mode: number): Error {
  return invalidArgument(`cannot read file ${quoteId(path)}: it is ${fileKind(mode) ?? 'no regular file'}`, {
    reason: 'FILE_NOT_REGULAR',
  });
}

function tooLarge(path: string, maxBytes: number): Error {
  return invalidArgument(`cannot read file ${quoteId(path)}: it is larger than ${maxBytes} bytes`, {
    reason: 'FILE_TOO_LARGE',
  });
}

function circle(path: string): Error {
  return invalidArgument(`cannot read file ${quoteId(path)}: too many symlinks`, {
    reason: 'FILE_NOT_REGULAR',
  });
}

/**
 * The directory side of unpacking: finds and makes parents below the layer's root, clears the way for an
 * entry, and remembers what directories shall look like in the end.
 *
 * Every lookup begins at the root's fd and is kept inside it by the kernel (openat2, RESOLVE_IN_ROOT);
 * nothing is remembered between entries that an entry could have changed meanwhile.
 */
import { closeSync } from 'node:fs';
import { SyscallError } from '../../native/errno.ts';
import { type FileStatus, OPEN, openAt2, RESOLVE, statAt } from '../../native/tree-read.ts';
import {
  chmodAt,
  chmodFd,
  chownFd,
  makeDirAt,
  setTimesFd,
  setXattrFd,
  unlinkAt,
} from '../../native/tree-write.ts';
import { quoteId } from '../model/error.ts';
import { archiveError, printableName } from './archive-error.ts';
import { joinPath, type LayerPath } from './entry-path.ts';
import { removeTreeAt } from './tree-remover.ts';
import { setXattrs, type Xattr } from './xattr-policy.ts';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFCHR = 0o020000;

/** Mode of a directory that the archive implies but does not have. */
const IMPLIED_MODE = 0o755;

/** Hides the same directory of the layers below; see overlayfs.rst, "whiteouts and opaque directories". */
export const OPAQUE_XATTR = 'trusted.overlay.opaque';

const HOW_PARENT = { flags: OPEN.path | OPEN.directory, resolve: RESOLVE.inRoot | RESOLVE.noMagicLinks };
const HOW_DIRECTORY = {
  flags: OPEN.readOnly | OPEN.directory | OPEN.noFollow,
  resolve: RESOLVE.beneath | RESOLVE.noSymlinks | RESOLVE.noMagicLinks,
};

/** What a directory gets once nothing below it changes any more. */
export interface DirectoryMeta {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  /** Those that may be kept. */
  readonly xattrs: readonly Xattr[];
}

/** A layer's root while it is filled. */
export interface LayerTree {
  /** Runs a step with an fd (O_PATH) of the directory that holds `path`, missing parents made. */
  inParent<T>(entry: Buffer, path: LayerPath, step: (parentFd: number, base: Buffer) => T): T;
  /** As `inParent`, but a missing parent is an error of the kernel. */
  inExistingParent<T>(path: LayerPath, step: (parentFd: number, base: Buffer) => T): T;
  /** Removes what is at a name and is not to be merged with; true when it was a whiteout of this layer. */
  clear(parentFd: number, base: Buffer): boolean;
  /** Makes a directory or keeps the one that is there; its meta is set by `finish`. */
  directory(path: LayerPath, parentFd: number, base: Buffer, meta: DirectoryMeta): void;
  /** Sets what the root itself shall look like. */
  root(meta: DirectoryMeta): void;
  /** Makes a directory hide that of the layers below; `.` is the parent itself. */
  markOpaque(parentFd: number, base: Buffer): void;
  /** Gives directories their owner, mode, attributes and time. */
  finish(): void;
}

/** @param rootFd - the layer's folder, empty, kept open by the caller. */
export function createLayerTree(rootFd: number): LayerTree {
  /** By inode: a directory may be gone, or be something else, when its turn comes. */
  const pending = new Map<bigint, { readonly path: LayerPath; readonly meta: DirectoryMeta }>();

  const open = (path: LayerPath): number => openAt2(rootFd, joinPath(path), HOW_PARENT);

  const inExistingParent: LayerTree['inExistingParent'] = (path, step) => {
    const base = path.at(-1) ?? Buffer.from('.');
    return withFd(open(path.slice(0, -1)), (parentFd) => step(parentFd, base));
  };

  const clear: LayerTree['clear'] = (parentFd, base) => {
    const status = statAt(parentFd, base);
    if (status === undefined) return false;
    if (isDirectory(status)) removeTreeAt(parentFd, base);
    else unlinkAt(parentFd, base);
    return isWhiteout(status);
  };

  /** Makes one directory where none is; over a whiteout of this layer it must not let the lower one through. */
  const make = (parentFd: number, base: Buffer, mode: number): void => {
    const hidden = clear(parentFd, base);
    makeDirAt(parentFd, base, mode);
    if (hidden) markOpaque(parentFd, base);
  };

  /** Depth of the longest part of a path that leads to a directory. */
  const existingDepth = (path: LayerPath): number => {
    let [known, missing] = [0, path.length + 1];
    while (missing - known > 1) {
      const middle = (known + missing) >>> 1;
      if (opens(() => open(path.slice(0, middle)))) known = middle;
      else missing = middle;
    }
    return known;
  };

  const makeParents = (entry: Buffer, path: LayerPath): void => {
    const existing = existingDepth(path);
    let fd = open(path.slice(0, existing));
    try {
      for (const [index, name] of path.slice(existing).entries()) {
        const status = statAt(fd, name);
        if (status !== undefined && !isWhiteout(status)) {
          throw archiveError(entry, `${quoted(path, existing + index + 1)} above it is no directory`);
        }
        make(fd, name, IMPLIED_MODE);
        // The umask of this process has no say in what a layer holds.
        chmodAt(fd, name, IMPLIED_MODE);
        const next = openAt2(fd, name, HOW_DIRECTORY);
        closeSync(fd);
        fd = next;
      }
    } finally {
      closeSync(fd);
    }
  };

  const inParent: LayerTree['inParent'] = (entry, path, step) => {
    const parent = path.slice(0, -1);
    if (!opens(() => open(parent))) makeParents(entry, parent);
    return inExistingParent(path, step);
  };

  const directory: LayerTree['directory'] = (path, parentFd, base, meta) => {
    const status = statAt(parentFd, base);
    // Closed to others until it has its owner; the writer is root and needs no permission.
    if (status === undefined || !isDirectory(status)) make(parentFd, base, 0o700);
    const made = statAt(parentFd, base);
    if (made !== undefined) pending.set(made.inode, { path, meta });
  };

  const root = (meta: DirectoryMeta): void => {
    const status = statAt(rootFd, Buffer.from('.'));
    if (status !== undefined) pending.set(status.inode, { path: [], meta });
  };

  const finish = (): void => {
    for (const [inode, { path, meta }] of pending) applyPending(inode, path, meta);
  };

  const applyPending = (inode: bigint, path: LayerPath, meta: DirectoryMeta): void => {
    const found = opens(() => open(path.slice(0, -1)));
    if (!found) return;
    inExistingParent(path, (parentFd, base) => {
      const status = statAt(parentFd, base);
      if (status === undefined || status.inode !== inode || !isDirectory(status)) return;
      withFd(openAt2(parentFd, base, HOW_DIRECTORY), (fd) => applyMeta(fd, meta));
    });
  };

  return { inParent, inExistingParent, clear, directory, root, markOpaque, finish };
}

/** A name that this layer removes from those below: a character device 0:0. */
export function isWhiteout(status: FileStatus): boolean {
  return (status.mode & S_IFMT) === S_IFCHR && status.deviceMajor === 0 && status.deviceMinor === 0;
}

/** Whether a status is that of a directory. */
export function isDirectory(status: FileStatus): boolean {
  return (status.mode & S_IFMT) === S_IFDIR;
}

function markOpaque(parentFd: number, base: Buffer): void {
  withFd(openAt2(parentFd, base, HOW_DIRECTORY), (fd) => setXattrFd(fd, OPAQUE_XATTR, Buffer.from('y')));
}

function applyMeta(fd: number, meta: DirectoryMeta): void {
  chownFd(fd, meta.uid, meta.gid);
  setXattrs(fd, meta.xattrs);
  chmodFd(fd, meta.mode);
  setTimesFd(fd, meta.mtimeNs);
}

/** Whether a directory can be opened; false when it or a symlink on the way leads to nothing or to no directory. */
function opens(open: () => number): boolean {
  try {
    closeSync(open());
    return true;
  } catch (error) {
    if (error instanceof SyscallError && (error.errno === 'ENOENT' || error.errno === 'ENOTDIR'))
      return false;
    throw error;
  }
}

function withFd<T>(fd: number, step: (fd: number) => T): T {
  try {
    return step(fd);
  } finally {
    closeSync(fd);
  }
}

function quoted(path: LayerPath, depth: number): string {
  return quoteId(printableName(joinPath(path.slice(0, depth))));
}

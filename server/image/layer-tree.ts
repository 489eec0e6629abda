/**
 * The directory side of unpacking: finds and makes parents below the layer's root, clears the way for an
 * entry, and remembers what directories shall look like in the end.
 *
 * Every lookup begins at the root's fd and is kept inside it by the kernel (openat2, RESOLVE_BENEATH without
 * symlinks). Directories that are found so are what a container would see, for the new layer is the topmost;
 * where there are symlinks on the way or directories of the layers below, layer-path-walk.ts finds out where
 * it leads. Nothing is remembered between entries that an entry could have changed meanwhile.
 */
import { closeSync } from 'node:fs';
import { SyscallError } from '../../native/errno.ts';
import { OPEN, openAt2, RESOLVE, statAt, statFd } from '../../native/tree-read.ts';
import {
  chmodAt,
  chmodFd,
  chownFd,
  makeDirAt,
  setTimesFd,
  setXattrFd,
  unlinkAt,
} from '../../native/tree-write.ts';
import { joinPath, type LayerPath } from './entry-path.ts';
import { isDirectory, OPAQUE_XATTR } from './file-kinds.ts';
import { type Found, type Level, lookAt, walkPath } from './layer-path-walk.ts';
import { directoryMeta } from './lower-layers.ts';
import { removeTreeAt } from './tree-remover.ts';
import { setXattrs, type Xattr } from './xattr-policy.ts';

/** Mode of a directory that the archive implies but no layer has. */
const IMPLIED_MODE = 0o755;

const WITHIN = RESOLVE.beneath | RESOLVE.noSymlinks | RESOLVE.noMagicLinks;
const HOW_PARENT = { flags: OPEN.path | OPEN.directory, resolve: WITHIN };
const HOW_DIRECTORY = { flags: OPEN.readOnly | OPEN.directory | OPEN.noFollow, resolve: WITHIN };

/** What a directory gets once nothing below it changes any more. */
export interface DirectoryMeta {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** ns since epoch. */
  readonly mtimeNs: bigint;
  /** Those that may be kept. */
  readonly xattrs: readonly Xattr[];
}

/** Where an entry goes. */
export interface Place {
  /** The directory that it is in; valid during the step. */
  readonly parentFd: number;
  readonly base: Buffer;
  /** From the root, every symlink on the way resolved. */
  readonly path: LayerPath;
}

/** A layer's root while it is filled. */
export interface LayerTree {
  /** Runs a step at the place that `path` leads to; directories that the layer lacks are made. */
  inParent<T>(entry: Buffer, path: LayerPath, step: (place: Place) => T): T;
  /** Removes what is at a name and is not to be merged with. @returns whether something was there. */
  clear(parentFd: number, base: Buffer): boolean;
  /** Makes a directory or keeps the one that is there; its meta is set by `finish`. */
  directory(place: Place, meta: DirectoryMeta): void;
  /** Sets what the root itself shall look like. */
  root(meta: DirectoryMeta): void;
  /** Makes a directory hide that of the layers below; `.` is the parent itself. */
  markOpaque(parentFd: number, base: Buffer): void;
  /** Everything below is hidden: what comes from now on stands alone. */
  hideBelow(): void;
  /** What a container would find at a path, the last part not followed; nothing is made. */
  find(entry: Buffer, path: LayerPath): Found | undefined;
  /** Gives directories their owner, mode, attributes and time. */
  finish(): void;
}

/** What the functions below share. */
interface Tree {
  readonly rootFd: number;
  /** Roots of the layers below, topmost first. */
  below: readonly number[];
  /** By inode: a directory may be gone, or be something else, when its turn comes. */
  readonly pending: Map<bigint, PendingDirectory>;
}

/** There may be a million: what is not needed of an entry is not kept, nor the block that its name lies in. */
interface PendingDirectory {
  readonly path: Buffer;
  readonly meta: DirectoryMeta;
}

function remember(tree: Tree, inode: bigint, path: LayerPath, meta: DirectoryMeta): void {
  const { mode, uid, gid, mtimeNs, xattrs } = meta;
  tree.pending.set(inode, { path: joinPath(path), meta: { mode, uid, gid, mtimeNs, xattrs } });
}

/**
 * @param rootFd - the layer's folder, empty, kept open by the caller.
 * @param below - folders of the layers under it, topmost first, kept open by the caller.
 */
export function createLayerTree(rootFd: number, below: readonly number[]): LayerTree {
  const tree: Tree = { rootFd, below, pending: new Map() };
  return {
    inParent: (entry, path, step) => {
      const parent = openParent(tree, entry, path.slice(0, -1));
      const base = path.at(-1) ?? Buffer.from('.');
      return withFd(parent.fd, (parentFd) => step({ parentFd, base, path: [...parent.path, base] }));
    },
    clear,
    directory: ({ parentFd, base, path }, meta) => {
      const status = statAt(parentFd, base);
      const isThere = status !== undefined && isDirectory(status);
      // Closed to others until it has its owner; the writer is root and needs no permission.
      if (!isThere) make(tree, parentFd, base, 0o700);
      const made = isThere ? status : statAt(parentFd, base);
      if (made !== undefined) remember(tree, made.inode, path, meta);
    },
    root: (meta) => {
      const status = statAt(rootFd, Buffer.from('.'));
      if (status !== undefined) remember(tree, status.inode, [], meta);
    },
    markOpaque,
    hideBelow: () => {
      tree.below = [];
    },
    find: (entry, path) => {
      const level = walkPath(tree, entry, path.slice(0, -1)).at(-1);
      const base = path.at(-1);
      return level === undefined || base === undefined ? undefined : lookAt(tree, level, base);
    },
    finish: () => {
      for (const [inode, { path, meta }] of tree.pending) applyPending(tree, inode, path, meta);
    },
  };
}

function clear(parentFd: number, base: Buffer): boolean {
  const status = statAt(parentFd, base);
  if (status === undefined) return false;
  if (isDirectory(status)) removeTreeAt(parentFd, base);
  else unlinkAt(parentFd, base);
  return true;
}

/** Makes one directory where none is; what stood there hid the layers below, and so shall this. */
function make(tree: Tree, parentFd: number, base: Buffer, mode: number): void {
  const hidden = clear(parentFd, base);
  makeDirAt(parentFd, base, mode);
  if (hidden && tree.below.length > 0) markOpaque(parentFd, base);
}

interface OpenDir {
  readonly fd: number;
  readonly path: LayerPath;
}

function openParent(tree: Tree, entry: Buffer, path: LayerPath): OpenDir {
  const fd = openHere(tree, path);
  return fd === undefined ? makeLevels(tree, walkPath(tree, entry, path)) : { fd, path };
}

/** What says that a path is not made of directories of the new layer alone. */
const NOT_HERE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

function openHere(tree: Tree, path: LayerPath): number | undefined {
  try {
    return openAt2(tree.rootFd, joinPath(path), HOW_PARENT);
  } catch (error) {
    if (error instanceof SyscallError && NOT_HERE.has(error.errno)) return undefined;
    throw error;
  }
}

/** Makes what the new layer lacks of a path, each directory with the looks that it has below. */
function makeLevels(tree: Tree, levels: readonly Level[]): OpenDir {
  const existing = levels.findLastIndex((level) => level.own);
  let fd = openAt2(tree.rootFd, joinPath(levels[existing]?.path ?? []), HOW_DIRECTORY);
  try {
    for (const { path, below } of levels.slice(existing + 1)) {
      const name = path.at(-1) ?? Buffer.from('.');
      make(tree, fd, name, IMPLIED_MODE);
      // The umask of this process has no say in what a layer holds.
      chmodAt(fd, name, IMPLIED_MODE);
      const next = openAt2(fd, name, HOW_DIRECTORY);
      closeSync(fd);
      fd = next;
      if (below === undefined) continue;
      const made = statAt(fd, Buffer.from('.'));
      if (made !== undefined) remember(tree, made.inode, path, directoryMeta(below));
    }
    return { fd, path: levels.at(-1)?.path ?? [] };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function applyPending(tree: Tree, inode: bigint, path: Buffer, meta: DirectoryMeta): void {
  let fd: number;
  try {
    fd = openAt2(tree.rootFd, path, HOW_DIRECTORY);
  } catch (error) {
    if (error instanceof SyscallError && NOT_HERE.has(error.errno)) return;
    throw error;
  }
  withFd(fd, () => {
    if (statFd(fd).inode === inode) applyMeta(fd, meta);
  });
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

function withFd<T>(fd: number, step: (fd: number) => T): T {
  try {
    return step(fd);
  } finally {
    closeSync(fd);
  }
}

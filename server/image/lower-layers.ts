/**
 * What the layers below the one that is unpacked show together: overlayfs's rules by hand, so that unpacking
 * needs no mount and costs nothing for names that are in the new layer already. They never change, and none
 * of ours has redirects, so that a merged directory has the same path in every layer that it is made of.
 */
import { closeSync } from 'node:fs';
import {
  type FileStatus,
  getXattrFd,
  listXattrs,
  OPEN,
  openAt2,
  RESOLVE,
  readLinkAt,
  statAt,
  statFd,
  XATTR_MAX_BYTES,
} from '../../native/tree-read.ts';
import { joinPath, type LayerPath } from './entry-path.ts';
import { isDirectory, isWhiteout, OPAQUE_XATTR } from './file-kinds.ts';
import { isKeptXattr, type Xattr } from './xattr-policy.ts';

const WITHIN = RESOLVE.beneath | RESOLVE.noSymlinks | RESOLVE.noMagicLinks;
const HOW_DIRECTORY = { flags: OPEN.readOnly | OPEN.directory | OPEN.noFollow, resolve: WITHIN };
const HOW_FILE = { flags: OPEN.readOnly | OPEN.noFollow | OPEN.nonBlock, resolve: WITHIN };

/** A directory as the layers below show it. */
export interface LowerDir {
  /** The same in each layer; no part is a symlink. */
  readonly path: LayerPath;
  /** Roots of the layers it is merged of, topmost first; at least one. */
  readonly layers: readonly number[];
}

/** A name that is no directory, in the layer that shows it. */
export interface LowerFile {
  readonly layer: number;
  readonly path: LayerPath;
  readonly status: FileStatus;
}

/** What a name in a lower directory is. */
export type LowerFound =
  | { readonly kind: 'directory'; readonly dir: LowerDir }
  | { readonly kind: 'file'; readonly file: LowerFile };

/** Owner, mode, attributes and time of something that is there. */
export interface LowerMeta {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly xattrs: readonly Xattr[];
}

/**
 * Looks one name up.
 * @returns undefined where there is none, or a layer hides it.
 * @throws SyscallError
 */
export function lookBelow(dir: LowerDir, name: Buffer): LowerFound | undefined {
  const path = [...dir.path, name];
  const joined = joinPath(path);
  const merged: number[] = [];
  for (const layer of dir.layers) {
    const status = statAt(layer, joined);
    if (status === undefined) continue;
    if (!isDirectory(status)) {
      if (merged.length > 0 || isWhiteout(status)) break;
      return { kind: 'file', file: { layer, path, status } };
    }
    merged.push(layer);
    if (isOpaqueAt(layer, path)) break;
  }
  return merged.length === 0 ? undefined : { kind: 'directory', dir: { path, layers: merged } };
}

/** Whether a directory hides what is below it. */
export function isOpaqueAt(rootFd: number, path: LayerPath): boolean {
  return withFd(openAt2(rootFd, joinPath(path), HOW_DIRECTORY), (fd) => {
    return getXattrFd(fd, OPAQUE_XATTR)?.toString() === 'y';
  });
}

/** What a merged directory looks like: as the topmost of its directories does. */
export function directoryMeta(dir: LowerDir): LowerMeta {
  return withFd(openAt2(dir.layers[0] ?? -1, joinPath(dir.path), HOW_DIRECTORY), metaOf);
}

/** Target of a symlink. */
export function targetOf(file: LowerFile): Buffer {
  return readLinkAt(file.layer, joinPath(file.path));
}

/** Runs a step with an fd of a regular file, for reading, and with what it looks like. */
export function withLowerFile<T>(file: LowerFile, step: (fd: number, meta: LowerMeta) => T): T {
  return withFd(openAt2(file.layer, joinPath(file.path), HOW_FILE), (fd) => step(fd, metaOf(fd)));
}

function metaOf(fd: number): LowerMeta {
  const xattrs = listXattrs(fd)
    .filter(isKeptXattr)
    .flatMap((name): Xattr[] => {
      const value = getXattrFd(fd, Buffer.from(name, 'latin1'), XATTR_MAX_BYTES);
      return value === undefined ? [] : [[name, value]];
    });
  const { mode, uid, gid, mtimeNs } = statFd(fd);
  return { mode: mode & 0o7777, uid, gid, mtimeNs, xattrs };
}

function withFd<T>(fd: number, step: (fd: number) => T): T {
  try {
    return step(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * How overlayfs marks what a layer hides: the two marks, told apart from real files, for everything here that
 * reads or writes a layer.
 */
import { constants } from 'node:fs';
import type { FileStatus } from '../../native/tree-read.ts';

const { S_IFMT, S_IFDIR, S_IFLNK, S_IFREG, S_IFCHR } = constants;

/** Hides the same directory of the layers below; see overlayfs.rst, "whiteouts and opaque directories". */
export const OPAQUE_XATTR = 'trusted.overlay.opaque';

/** A name that this layer removes from those below: a character device 0:0. */
export function isWhiteout(status: FileStatus): boolean {
  return (status.mode & S_IFMT) === S_IFCHR && status.deviceMajor === 0 && status.deviceMinor === 0;
}

/** Whether a status is that of a directory. */
export function isDirectory(status: FileStatus): boolean {
  return (status.mode & S_IFMT) === S_IFDIR;
}

/** Whether a status is that of a symlink. */
export function isSymlink(status: FileStatus): boolean {
  return (status.mode & S_IFMT) === S_IFLNK;
}

/** Whether a status is that of a regular file. */
export function isRegular(status: FileStatus): boolean {
  return (status.mode & S_IFMT) === S_IFREG;
}

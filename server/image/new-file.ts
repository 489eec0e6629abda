/**
 * Making one file of a layer: new by the kernel's word, and finished in an order that loses nothing.
 */
import { OPEN, openAt2, RESOLVE } from '../../native/tree-read.ts';
import { chmodFd, chownFd, setTimesFd } from '../../native/tree-write.ts';
import { setXattrs, type Xattr } from './xattr-policy.ts';

const HOW_NEW_FILE = {
  flags: OPEN.writeOnly | OPEN.create | OPEN.exclusive | OPEN.noFollow,
  mode: 0o600,
  resolve: RESOLVE.beneath | RESOLVE.noSymlinks | RESOLVE.noMagicLinks,
};

/** What a file looks like. */
export interface FileMeta {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** ns since epoch. */
  readonly mtimeNs: bigint;
  /** Those that may be kept. */
  readonly xattrs: readonly Xattr[];
}

/**
 * @returns an fd for writing, the caller's to close.
 * @throws SyscallError EEXIST where there is anything of that name, a symlink too.
 */
export function openNewFile(parentFd: number, base: Buffer): number {
  return openAt2(parentFd, base, HOW_NEW_FILE);
}

/**
 * After the last byte. Owner first, since a change of owner clears setuid and file capabilities; then
 * attributes, then the mode, then the time.
 */
export function finishFile(fd: number, meta: FileMeta): void {
  chownFd(fd, meta.uid, meta.gid);
  setXattrs(fd, meta.xattrs);
  chmodFd(fd, meta.mode);
  setTimesFd(fd, meta.mtimeNs);
}

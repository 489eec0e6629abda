/**
 * Making one file of a layer: new by the kernel's word, and finished in an order that loses nothing.
 */
import { OPEN, openAt2, RESOLVE } from '../../native/tree-read.ts';
import { chmodFd, chownFd, setTimesFd } from '../../native/tree-write.ts';
import { setXattrs, type Xattr } from './xattr-policy.ts';

const HOW_NEW_FILE = {
  flags: OPEN.writeOnly | OPEN.create | OPEN.exclusive | OPEN.noFollow,
  resolve: RESOLVE.beneath | RESOLVE.noSymlinks | RESOLVE.noMagicLinks,
};
/** Until it has its owner. */
const CLOSED_MODE = 0o600;

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
 * @param meta - what the file will look like: most files are root's with a plain mode, and are made so at once,
 * which saves two changes of the inode, each a step of the file system's journal.
 * @returns an fd for writing, the caller's to close; {@link finishFile} is to follow.
 * @throws SyscallError EEXIST where there is anything of that name, a symlink too.
 */
export function openNewFile(parentFd: number, base: Buffer, meta: FileMeta): number {
  const mode = isMadeFinished(meta) ? meta.mode : CLOSED_MODE;
  return openAt2(parentFd, base, { ...HOW_NEW_FILE, mode });
}

/**
 * After the last byte. Owner first, since a change of owner clears setuid and file capabilities; then
 * attributes, then the mode, then the time.
 */
export function finishFile(fd: number, meta: FileMeta): void {
  const isFinished = isMadeFinished(meta);
  if (!isFinished) chownFd(fd, meta.uid, meta.gid);
  setXattrs(fd, meta.xattrs);
  if (!isFinished) chmodFd(fd, meta.mode);
  setTimesFd(fd, meta.mtimeNs);
}

/**
 * Directories are root's, without setgid and without ACLs, until the very end (layer-tree.ts), so that nothing
 * of them goes over to what is made in them; a umask, which the worker has not, would.
 */
function isMadeFinished(meta: FileMeta): boolean {
  return (
    meta.uid === 0 && meta.gid === 0 && (meta.mode & ~0o777) === 0 && meta.xattrs.length === 0 && UMASK === 0
  );
}

const UMASK = process.umask();

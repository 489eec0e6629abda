/**
 * The calls that change an untrusted tree: each takes a directory fd and a name in bytes, so that no path
 * is ever looked up by name from the host's root.
 *
 * WHY NOT node:fs: it has no *at call, no mknod, no xattr, and decodes names as UTF-8.
 * SAFETY: every buffer is owned by the caller for the length of the call; all calls are synchronous and made
 * in a process that has nothing else to do.
 */
import { calls, check, cString } from './libc.ts';
import { statAt } from './tree-read.ts';

const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const RENAME_NOREPLACE = 1;
const EEXIST = 17;
const EINVAL = 22;

const sysMkdirat = calls.func('int mydocker_mkdirat(int fd, const void *name, unsigned int mode)');
const sysSymlinkat = calls.func('int mydocker_symlinkat(const void *target, int fd, const void *name)');
const sysLinkat = calls.func(
  'int mydocker_linkat(int ofd, const void *old, int nfd, const void *name, int flags)',
);
const sysMknodat = calls.func(
  'int mydocker_mknodat(int fd, const void *name, unsigned int mode, uint64_t device)',
);
const sysUnlinkat = calls.func('int mydocker_unlinkat(int fd, const void *name, int flags)');
const sysRenameat2 = calls.func(
  'int mydocker_renameat2(int ofd, const void *old, int nfd, const void *name, unsigned int flags)',
);
const sysFchownat = calls.func(
  'int mydocker_fchownat(int fd, const void *name, uint32_t uid, uint32_t gid, int flags)',
);
const sysFchmodat = calls.func(
  'int mydocker_fchmodat(int fd, const void *name, unsigned int mode, int flags)',
);
const sysFchown = calls.func('int mydocker_fchown(int fd, uint32_t uid, uint32_t gid)');
const sysFchmod = calls.func('int mydocker_fchmod(int fd, unsigned int mode)');
const sysUtimensat = calls.func(
  'int mydocker_utimensat(int fd, const void *name, const void *times, int flags)',
);
const sysFutimens = calls.func('int mydocker_futimens(int fd, const void *times)');
const sysFsetxattr = calls.func(
  'int mydocker_fsetxattr(int fd, const void *name, const void *value, size_t size, int flags)',
);
const sysFtruncate = calls.func('int mydocker_ftruncate(int fd, int64_t size)');
const sysSyncfs = calls.func('int mydocker_syncfs(int fd)');

/** mkdirat(2); the umask applies. */
export function makeDirAt(dirFd: number, name: Uint8Array, mode: number): void {
  const path = cString(name);
  check(sysMkdirat(dirFd, path, mode), 'mkdirat', name);
}

/** symlinkat(2); the target is kept as it is and never looked at. */
export function symlinkAt(target: Uint8Array, dirFd: number, name: Uint8Array): void {
  const to = cString(target);
  const path = cString(name);
  check(sysSymlinkat(to, dirFd, path), 'symlinkat', name);
}

/** linkat(2); a symlink as old name is itself linked, not followed. */
export function linkAt(oldDirFd: number, oldName: Uint8Array, dirFd: number, name: Uint8Array): void {
  const old = cString(oldName);
  const path = cString(name);
  check(sysLinkat(oldDirFd, old, dirFd, path, 0), 'linkat', name);
}

/**
 * mknodat(2).
 * @param mode - file type and permission bits.
 */
export function makeNodeAt(
  dirFd: number,
  name: Uint8Array,
  mode: number,
  major: number,
  minor: number,
): void {
  const path = cString(name);
  // makedev(3): the split encoding of glibc's dev_t.
  const [high, low] = [BigInt(major), BigInt(minor)];
  const device =
    ((high & 0xfffn) << 8n) | ((high & ~0xfffn) << 32n) | (low & 0xffn) | ((low & ~0xffn) << 12n);
  check(sysMknodat(dirFd, path, mode, device), 'mknodat', name);
}

/** unlinkat(2): a file, or with `directory` an empty directory. */
export function unlinkAt(dirFd: number, name: Uint8Array, directory = false): void {
  const path = cString(name);
  check(sysUnlinkat(dirFd, path, directory ? AT_REMOVEDIR : 0), 'unlinkat', name);
}

/** renameat(2). */
export function renameAt(oldDirFd: number, oldName: Uint8Array, dirFd: number, name: Uint8Array): void {
  const old = cString(oldName);
  const path = cString(name);
  check(sysRenameat2(oldDirFd, old, dirFd, path, 0), 'renameat', oldName);
}

/**
 * renameat2(2) with RENAME_NOREPLACE. Where a file system has no such thing (NFS, CIFS) a look comes first instead.
 * @returns whether the name was free.
 */
export function renameNewAt(oldDirFd: number, oldName: Uint8Array, dirFd: number, name: Uint8Array): boolean {
  const old = cString(oldName);
  const path = cString(name);
  const result = sysRenameat2(oldDirFd, old, dirFd, path, RENAME_NOREPLACE);
  if (result === -EEXIST) return false;
  if (result !== -EINVAL) {
    check(result, 'renameat2', name);
    return true;
  }
  if (statAt(dirFd, name) !== undefined) return false;
  renameAt(oldDirFd, oldName, dirFd, name);
  return true;
}

/** fchownat(2) of the name itself, a symlink not followed. Clears setuid and file capabilities. */
export function chownAt(dirFd: number, name: Uint8Array, uid: number, gid: number): void {
  const path = cString(name);
  check(sysFchownat(dirFd, path, uid, gid, AT_SYMLINK_NOFOLLOW), 'fchownat', name);
}

/** fchmodat(2), which follows a symlink: only for a name that was just made as something else. */
export function chmodAt(dirFd: number, name: Uint8Array, mode: number): void {
  const path = cString(name);
  check(sysFchmodat(dirFd, path, mode, 0), 'fchmodat', name);
}

/** fchown(2). Clears setuid and file capabilities. */
export function chownFd(fd: number, uid: number, gid: number): void {
  check(sysFchown(fd, uid, gid), 'fchown');
}

/** fchmod(2). */
export function chmodFd(fd: number, mode: number): void {
  check(sysFchmod(fd, mode), 'fchmod');
}

/** Access and modification time as two struct timespec. */
function timespecs(timeNs: bigint): Buffer {
  const second = 1_000_000_000n;
  const rest = timeNs % second;
  const nanos = rest < 0n ? rest + second : rest;
  const seconds = (timeNs - nanos) / second;
  const times = Buffer.allocUnsafe(32);
  for (const at of [0, 16]) {
    times.writeBigInt64LE(seconds, at);
    times.writeBigInt64LE(nanos, at + 8);
  }
  return times;
}

/** utimensat(2) of the name itself; both times become `timeNs`, ns since epoch. */
export function setTimesAt(dirFd: number, name: Uint8Array, timeNs: bigint): void {
  const path = cString(name);
  const times = timespecs(timeNs);
  check(sysUtimensat(dirFd, path, times, AT_SYMLINK_NOFOLLOW), 'utimensat', name);
}

/** futimens(3); both times become `timeNs`, ns since epoch. */
export function setTimesFd(fd: number, timeNs: bigint): void {
  const times = timespecs(timeNs);
  check(sysFutimens(fd, times), 'futimens');
}

/** ftruncate(2); Node's takes 2^53 bytes, and is the same otherwise. */
export function truncateFd(fd: number, sizeBytes: bigint): void {
  check(sysFtruncate(fd, sizeBytes), 'ftruncate');
}

/** fsetxattr(2). */
export function setXattrFd(fd: number, name: Uint8Array | string, value: Uint8Array): void {
  const key = cString(name);
  check(sysFsetxattr(fd, key, value, value.length, 0), 'fsetxattr', name);
}

/** syncfs(2): all of the file system that holds the fd is on the disk when it returns; may take seconds. */
export function syncFs(fd: number): void {
  check(sysSyncfs(fd), 'syncfs');
}

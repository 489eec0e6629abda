/**
 * The calls that unpacking, reading and removing an untrusted tree is made of: each takes a directory fd
 * and a name in bytes, so that no path is ever looked up by name from the host's root.
 *
 * WHY NOT node:fs: it has no *at call, no openat2, no mknod, no xattr, and decodes names as UTF-8.
 * SAFETY: every buffer is owned by the caller for the length of the call, all calls are synchronous and
 * made in a process that has nothing else to do, but for the server's short look-ups (one small file each).
 */
import { constants } from 'node:fs';
import { SyscallError } from './errno.ts';
import { cString, lastErrno, libc } from './libc.ts';

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const ENOENT = 2;
const EINTR = 4;
const EAGAIN = 11;
/** Same number on x86-64 and arm64. */
const SYS_OPENAT2 = 437;

/** Flags that Node does not name; equal on x86-64 and arm64. */
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;

/** Open flags; O_CLOEXEC is always added. */
export const OPEN: Readonly<
  Record<
    'readOnly' | 'writeOnly' | 'create' | 'exclusive' | 'directory' | 'noFollow' | 'nonBlock' | 'path',
    number
  >
> = {
  readOnly: constants.O_RDONLY,
  writeOnly: constants.O_WRONLY,
  create: constants.O_CREAT,
  exclusive: constants.O_EXCL,
  directory: constants.O_DIRECTORY,
  noFollow: constants.O_NOFOLLOW,
  nonBlock: constants.O_NONBLOCK,
  path: O_PATH,
};

/** How openat2 resolves; the values of linux/openat2.h. */
export const RESOLVE = {
  noMounts: 0x01,
  noMagicLinks: 0x02,
  noSymlinks: 0x04,
  beneath: 0x08,
  inRoot: 0x10,
} as const;

/** How often openat2 is tried again when a rename elsewhere raced with it (EAGAIN). */
const OPEN_RETRIES = 64;

const sysOpenat2 = libc.func('long syscall(long n, int fd, const void *path, const void *how, size_t size)');
const sysMkdirat = libc.func('int mkdirat(int fd, const void *name, unsigned int mode)');
const sysSymlinkat = libc.func('int symlinkat(const void *target, int fd, const void *name)');
const sysLinkat = libc.func('int linkat(int ofd, const void *old, int nfd, const void *name, int flags)');
const sysMknodat = libc.func('int mknodat(int fd, const void *name, unsigned int mode, uint64_t device)');
const sysUnlinkat = libc.func('int unlinkat(int fd, const void *name, int flags)');
const sysRenameat = libc.func('int renameat(int ofd, const void *old, int nfd, const void *name)');
const sysFchownat = libc.func(
  'int fchownat(int fd, const void *name, uint32_t uid, uint32_t gid, int flags)',
);
const sysFchmodat = libc.func('int fchmodat(int fd, const void *name, unsigned int mode, int flags)');
const sysFchown = libc.func('int fchown(int fd, uint32_t uid, uint32_t gid)');
const sysFchmod = libc.func('int fchmod(int fd, unsigned int mode)');
const sysUtimensat = libc.func('int utimensat(int fd, const void *name, const void *times, int flags)');
const sysFutimens = libc.func('int futimens(int fd, const void *times)');
const sysFsetxattr = libc.func(
  'int fsetxattr(int fd, const void *name, const void *value, size_t size, int flags)',
);
const sysFgetxattr = libc.func('int64_t fgetxattr(int fd, const void *name, void *value, size_t size)');
const sysStatx = libc.func('int statx(int fd, const void *name, int flags, unsigned int mask, void *out)');
const sysGetdents = libc.func('int64_t getdents64(int fd, void *out, size_t size)');
const sysSyncfs = libc.func('int syncfs(int fd)');

function check(result: number, syscall: string, name: Uint8Array | string = ''): number {
  if (result < 0) {
    const errno = lastErrno();
    throw new SyscallError(syscall, errno, typeof name === 'string' ? name : Buffer.from(name).toString());
  }
  return result;
}

/** What to open and how; see openat2(2). */
export interface OpenHow {
  readonly flags: number;
  /** Permission bits of a file that is made; before the umask. */
  readonly mode?: number;
  readonly resolve: number;
}

/**
 * openat2(2).
 * @param dirFd - where resolution begins; undefined is the working directory.
 * @returns a new fd, closed on exec, the caller's to close.
 */
export function openAt2(dirFd: number | undefined, path: Uint8Array | string, how: OpenHow): number {
  const name = cString(path);
  const struct = Buffer.alloc(24);
  struct.writeBigUInt64LE(BigInt(how.flags | O_CLOEXEC), 0);
  struct.writeBigUInt64LE(BigInt(how.mode ?? 0), 8);
  struct.writeBigUInt64LE(BigInt(how.resolve), 16);
  for (let attempt = 0; ; attempt += 1) {
    const result = Number(sysOpenat2(SYS_OPENAT2, dirFd ?? AT_FDCWD, name, struct, struct.length));
    const errno = result < 0 ? lastErrno() : 0;
    if (result >= 0) return result;
    const again = errno === EAGAIN || errno === EINTR;
    if (!again || attempt >= OPEN_RETRIES) {
      throw new SyscallError(
        'openat2',
        errno,
        typeof path === 'string' ? path : Buffer.from(path).toString(),
      );
    }
  }
}

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
  check(sysRenameat(oldDirFd, old, dirFd, path), 'renameat', oldName);
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
  const nanos = ((timeNs % second) + second) % second;
  const times = Buffer.alloc(32);
  for (const at of [0, 16]) {
    times.writeBigInt64LE((timeNs - nanos) / second, at);
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

/** fsetxattr(2). */
export function setXattrFd(fd: number, name: Uint8Array | string, value: Uint8Array): void {
  const key = cString(name);
  check(sysFsetxattr(fd, key, value, value.length, 0), 'fsetxattr', name);
}

/**
 * fgetxattr(2).
 * @returns the value, or undefined when there is none, the file system has none, or it is over 64 KiB.
 */
export function getXattrFd(fd: number, name: string): Buffer | undefined {
  const key = cString(name);
  const value = Buffer.alloc(65_536);
  const size = Number(sysFgetxattr(fd, key, value, value.length));
  return size < 0 ? undefined : value.subarray(0, size);
}

/** syncfs(2): all of the file system that holds the fd is on the disk when it returns; may take seconds. */
export function syncFs(fd: number): void {
  check(sysSyncfs(fd), 'syncfs');
}

/** What statx(2) says of one name. */
export interface FileStatus {
  /** File type and permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly inode: bigint;
  readonly sizeBytes: bigint;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
}

/**
 * statx(2) of the name itself, a symlink not followed.
 * @returns undefined when there is no such name.
 */
export function statAt(dirFd: number, name: Uint8Array): FileStatus | undefined {
  const path = cString(name);
  const out = Buffer.alloc(256);
  const result = sysStatx(dirFd, path, AT_SYMLINK_NOFOLLOW, 0x7ff, out);
  if (result < 0) {
    const errno = lastErrno();
    if (errno === ENOENT) return undefined;
    throw new SyscallError('statx', errno, Buffer.from(name).toString());
  }
  return {
    mode: out.readUInt16LE(28),
    uid: out.readUInt32LE(20),
    gid: out.readUInt32LE(24),
    links: out.readUInt32LE(16),
    inode: out.readBigUInt64LE(32),
    sizeBytes: out.readBigUInt64LE(40),
    deviceMajor: out.readUInt32LE(128),
    deviceMinor: out.readUInt32LE(132),
  };
}

/** An entry of a directory. */
export interface DirEntry {
  readonly name: Buffer;
  /** DT_* of dirent.h: 4 is a directory, 0 unknown. */
  readonly type: number;
}

/** DT_DIR and DT_UNKNOWN. */
export const DIRENT = { unknown: 0, directory: 4 } as const;

/**
 * getdents64(2): the next entries of an open directory, without `.` and `..`.
 * @returns undefined at the end; an empty list is not the end.
 */
export function readDirFd(fd: number): DirEntry[] | undefined {
  const out = Buffer.alloc(32_768);
  const size = check(Number(sysGetdents(fd, out, out.length)), 'getdents64');
  if (size === 0) return undefined;
  const entries: DirEntry[] = [];
  for (let at = 0; at < size; at += out.readUInt16LE(at + 16)) {
    const name = out.subarray(at + 19, out.indexOf(0, at + 19));
    const dots = (name.length === 1 || (name.length === 2 && name[1] === 0x2e)) && name[0] === 0x2e;
    if (!dots) entries.push({ name, type: out[at + 18] ?? 0 });
  }
  return entries;
}

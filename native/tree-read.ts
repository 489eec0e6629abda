/**
 * The calls that look into an untrusted tree: each takes a directory fd and a name in bytes, so that no path
 * is ever looked up by name from the host's root.
 *
 * WHY NOT node:fs: it has no *at call, no openat2, no xattr, and decodes names as UTF-8.
 * SAFETY: every buffer is owned by the caller for the length of the call; all calls are synchronous and take
 * microseconds, so that the server too may look up a file with them.
 */
import { constants } from 'node:fs';
import { SyscallError } from './errno.ts';
import { cString, lastErrno, libc } from './libc.ts';

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const ENOENT = 2;
const EINTR = 4;
const EAGAIN = 11;
/** Same number on x86-64 and arm64. */
const SYS_OPENAT2 = 437;

/** Flags that Node does not name; equal on x86-64 and arm64. */
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;

const sysOpenat2 = libc.func('long syscall(long n, int fd, const void *path, const void *how, size_t size)');
const sysReadlinkat = libc.func('int64_t readlinkat(int fd, const void *name, void *out, size_t size)');
const sysFgetxattr = libc.func('int64_t fgetxattr(int fd, const void *name, void *value, size_t size)');
const sysFlistxattr = libc.func('int64_t flistxattr(int fd, void *list, size_t size)');
const sysLseek = libc.func('int64_t lseek(int fd, int64_t offset, int whence)');
const sysStatx = libc.func('int statx(int fd, const void *name, int flags, unsigned int mask, void *out)');
const sysGetdents = libc.func('int64_t getdents64(int fd, void *out, size_t size)');

/**
 * The result of a call; its very next expression must be this one, for errno's sake.
 * @throws SyscallError when it is negative.
 */
export function check(result: number, syscall: string, name: Uint8Array | string = ''): number {
  if (result < 0) {
    const errno = lastErrno();
    throw new SyscallError(syscall, errno, typeof name === 'string' ? name : Buffer.from(name).toString());
  }
  return result;
}

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

/** How often a call is tried again after EAGAIN, which openat2 says when a rename elsewhere raced with it. */
const RETRIES = 64;

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
  const struct = Buffer.allocUnsafe(24);
  struct.writeBigUInt64LE(BigInt(how.flags | O_CLOEXEC), 0);
  struct.writeBigUInt64LE(BigInt(how.mode ?? 0), 8);
  struct.writeBigUInt64LE(BigInt(how.resolve), 16);
  for (let attempt = 0; ; attempt += 1) {
    const result = Number(sysOpenat2(SYS_OPENAT2, dirFd ?? AT_FDCWD, name, struct, struct.length));
    const errno = result < 0 ? lastErrno() : 0;
    if (result >= 0) return result;
    const again = errno === EAGAIN || errno === EINTR;
    if (!again || attempt >= RETRIES) {
      throw new SyscallError(
        'openat2',
        errno,
        typeof path === 'string' ? path : Buffer.from(path).toString(),
      );
    }
  }
}

/** readlinkat(2): the target of a symlink. */
export function readLinkAt(dirFd: number, name: Uint8Array): Buffer {
  const path = cString(name);
  const out = Buffer.alloc(4096);
  const size = check(Number(sysReadlinkat(dirFd, path, out, out.length)), 'readlinkat', name);
  return out.subarray(0, size);
}

/**
 * fgetxattr(2).
 * @param maxBytes - longest value that is wanted.
 * @returns the value, or undefined when there is none, the file system has none, or it is longer.
 */
export function getXattrFd(fd: number, name: Uint8Array | string, maxBytes = 4096): Buffer | undefined {
  const key = cString(name);
  const value = Buffer.alloc(maxBytes);
  const size = Number(sysFgetxattr(fd, key, value, value.length));
  return size < 0 ? undefined : value.subarray(0, size);
}

/** Most that the kernel returns of attribute names or of one value: XATTR_LIST_MAX, XATTR_SIZE_MAX. */
export const XATTR_MAX_BYTES = 65_536;

/**
 * flistxattr(2).
 * @returns names, their bytes as latin1; none where the file system has no attributes.
 */
export function listXattrsFd(fd: number): string[] {
  const list = Buffer.alloc(XATTR_MAX_BYTES);
  const size = Number(sysFlistxattr(fd, list, list.length));
  if (size <= 0) return [];
  return list
    .toString('latin1', 0, size)
    .split('\0')
    .filter((name) => name !== '');
}

/** SEEK_DATA and SEEK_HOLE of lseek(2). */
const SEEK = { data: 3, hole: 4 } as const;

/**
 * The next region of a file that holds data; on a file system that knows no holes all of it does.
 * @returns undefined when only a hole is left.
 */
export function nextDataFd(fd: number, from: number): { start: number; end: number } | undefined {
  const start = Number(sysLseek(fd, from, SEEK.data));
  if (start < 0) return undefined;
  const end = Number(sysLseek(fd, start, SEEK.hole));
  return end < 0 ? undefined : { start, end };
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
  /** Space that it takes, in units of 512 bytes. */
  readonly blocks: bigint;
  /** Time of the last change of content, ns since epoch. */
  readonly mtimeNs: bigint;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
}

/**
 * statx(2) of the name itself, a symlink not followed.
 * @returns undefined when there is no such name.
 */
export function statAt(dirFd: number | undefined, name: Uint8Array): FileStatus | undefined {
  const path = cString(name);
  const out = Buffer.allocUnsafe(256);
  for (let attempt = 0; ; attempt += 1) {
    const result = sysStatx(dirFd ?? AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, 0x7ff, out);
    if (result === 0) return statusOf(out);
    const errno = lastErrno();
    if (errno === ENOENT) return undefined;
    // It never says EAGAIN: what V8 does between the call and the look at errno may leave that, from a futex.
    if (errno !== EAGAIN || attempt >= RETRIES)
      throw new SyscallError('statx', errno, Buffer.from(name).toString());
  }
}

/** statx(2) of what an fd is open on. */
export function statFd(fd: number): FileStatus {
  const path = cString('');
  const out = Buffer.allocUnsafe(256);
  check(sysStatx(fd, path, AT_EMPTY_PATH, 0x7ff, out), 'statx');
  return statusOf(out);
}

function statusOf(out: Buffer): FileStatus {
  return {
    mode: out.readUInt16LE(28),
    uid: out.readUInt32LE(20),
    gid: out.readUInt32LE(24),
    links: out.readUInt32LE(16),
    inode: out.readBigUInt64LE(32),
    sizeBytes: out.readBigUInt64LE(40),
    blocks: out.readBigUInt64LE(48),
    mtimeNs: out.readBigInt64LE(112) * 1_000_000_000n + BigInt(out.readUInt32LE(120)),
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
  const size = Number(sysGetdents(fd, out, out.length));
  // A directory that was removed while it was open has no entries.
  if (size < 0 && lastErrno() === ENOENT) return undefined;
  if (check(size, 'getdents64') === 0) return undefined;
  const entries: DirEntry[] = [];
  for (let at = 0; at < size; at += out.readUInt16LE(at + 16)) {
    const name = out.subarray(at + 19, out.indexOf(0, at + 19));
    const dots = (name.length === 1 || (name.length === 2 && name[1] === 0x2e)) && name[0] === 0x2e;
    if (!dots) entries.push({ name, type: out[at + 18] ?? 0 });
  }
  return entries;
}

/**
 * The calls that look into an untrusted tree: each takes a directory fd and a name in bytes, so that no path
 * is ever looked up by name from the host's root.
 *
 * WHY NOT node:fs: it has no *at call, no openat2, no xattr, and decodes names as UTF-8.
 * SAFETY: every buffer is owned by the caller for the length of the call; all calls are synchronous and take
 * microseconds, so that the server too may look up a file with them.
 */
import { constants } from 'node:fs';
import { calls, check, cString } from './libc.ts';

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

const sysOpenat2 = calls.func(
  'long mydocker_syscall(long n, long fd, const void *path, const void *how, size_t size, long)',
);
const sysReadlinkat = calls.func(
  'int64_t mydocker_readlinkat(int fd, const void *name, void *out, size_t size)',
);
const sysFgetxattr = calls.func(
  'int64_t mydocker_fgetxattr(int fd, const void *name, void *value, size_t size)',
);
const sysFlistxattr = calls.func('int64_t mydocker_flistxattr(int fd, void *list, size_t size)');
const sysStatx = calls.func(
  'int mydocker_statx(int fd, const void *name, int flags, unsigned int mask, void *out)',
);
const sysGetdents = calls.func('int64_t mydocker_getdents64(int fd, void *out, size_t size)');

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
    const result = sysOpenat2(SYS_OPENAT2, dirFd ?? AT_FDCWD, name, struct, struct.length, 0) as number;
    const again = result === -EAGAIN || result === -EINTR;
    if (!again || attempt >= RETRIES) return check(result, 'openat2', path);
  }
}

/** readlinkat(2): the target of a symlink. */
export function readLinkAt(dirFd: number, name: Uint8Array): Buffer {
  const path = cString(name);
  const out = Buffer.alloc(4096);
  const size = check(sysReadlinkat(dirFd, path, out, out.length), 'readlinkat', name);
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

const xattrList = Buffer.alloc(XATTR_MAX_BYTES);

/**
 * flistxattr(2).
 * @returns names, their bytes as latin1; none where the file system has no attributes.
 */
export function listXattrs(fd: number): string[] {
  const size = sysFlistxattr(fd, xattrList, xattrList.length) as number;
  if (size <= 0) return [];
  return xattrList
    .toString('latin1', 0, size)
    .split('\0')
    .filter((name) => name !== '');
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
  const result = sysStatx(dirFd ?? AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, 0x7ff, out) as number;
  if (result === -ENOENT) return undefined;
  check(result, 'statx', name);
  return statusOf(out);
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
  const size = sysGetdents(fd, out, out.length) as number;
  // A directory that was removed while it was open has no entries.
  if (size === -ENOENT || check(size, 'getdents64') === 0) return undefined;
  const entries: DirEntry[] = [];
  for (let at = 0; at < size; at += out.readUInt16LE(at + 16)) {
    const name = out.subarray(at + 19, out.indexOf(0, at + 19));
    const dots = (name.length === 1 || (name.length === 2 && name[1] === 0x2e)) && name[0] === 0x2e;
    if (!dots) entries.push({ name, type: out[at + 18] ?? 0 });
  }
  return entries;
}

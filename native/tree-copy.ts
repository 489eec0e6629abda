/**
 * The calls that copy the content and the attributes of an open file, by the kernel itself where it can.
 *
 * WHY NOT node:fs: it has no copy_file_range, no holes, no FICLONE for files that are open, and no xattr.
 * SAFETY: every buffer is owned by the caller for the length of the call; all calls are synchronous and may
 * take as long as the disk does, so that they are made in a process that has nothing else to do.
 */
import { SyscallError } from './errno.ts';
import { lastErrno, libc } from './libc.ts';
import { check } from './tree-read.ts';

const ENXIO = 6;
/** _IOW(0x94, 9, int), equal on x86-64 and arm64. */
const FICLONE = 0x40049409;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** Most that the kernel returns of attribute names or of one value: XATTR_LIST_MAX, XATTR_SIZE_MAX. */
const XATTR_MAX_BYTES = 65_536;

const sysCopyFileRange = libc.func(
  'int64_t copy_file_range(int from, void *fromAt, int to, void *toAt, size_t size, unsigned int flags)',
);
const sysIoctl = libc.func('int ioctl(int fd, unsigned long request, int argument)');
const sysLseek = libc.func('int64_t lseek(int fd, int64_t offset, int whence)');
const sysFlistxattr = libc.func('int64_t flistxattr(int fd, void *list, size_t size)');
const sysFgetxattr = libc.func('int64_t fgetxattr(int fd, const void *name, void *value, size_t size)');
const sysFsetxattr = libc.func(
  'int fsetxattr(int fd, const void *name, const void *value, size_t size, int flags)',
);

const list = Buffer.alloc(XATTR_MAX_BYTES);
const value = Buffer.alloc(XATTR_MAX_BYTES);

/**
 * ioctl_ficlone(2): shares all blocks of one file with another, empty one.
 * @returns false where the file system cannot; nothing has changed then.
 */
export function cloneFile(fromFd: number, toFd: number): boolean {
  return sysIoctl(toFd, FICLONE, fromFd) === 0;
}

/**
 * The next region of a file that holds data; on a file system that knows no holes all of it does.
 * @returns undefined when only a hole is left.
 */
export function nextData(fd: number, from: number): { start: number; end: number } | undefined {
  const start = Number(sysLseek(fd, from, SEEK_DATA));
  if (start < 0) {
    const errno = lastErrno();
    if (errno === ENXIO) return undefined;
    throw new SyscallError('lseek', errno);
  }
  return { start, end: check(Number(sysLseek(fd, start, SEEK_HOLE)), 'lseek') };
}

/**
 * copy_file_range(2): copies within the kernel.
 * @param at - offset in both files.
 * @returns bytes copied; 0 at the end of the source.
 * @throws SyscallError EXDEV, EINVAL, EOPNOTSUPP where these two files cannot be copied so.
 */
export function copyRange(fromFd: number, toFd: number, at: number, size: number): number {
  const fromAt = BigInt64Array.of(BigInt(at));
  const toAt = BigInt64Array.of(BigInt(at));
  return check(Number(sysCopyFileRange(fromFd, fromAt, toFd, toAt, size, 0)), 'copy_file_range');
}

/** flistxattr(2): names as they are on the disk; none where the file system has no attributes. */
export function listXattrs(fd: number): Buffer[] {
  const size = Number(sysFlistxattr(fd, list, list.length));
  const names: Buffer[] = [];
  for (let at = 0; at < size; ) {
    const end = list.indexOf(0, at);
    names.push(Buffer.from(list.subarray(at, end)));
    at = end + 1;
  }
  return names;
}

/**
 * Gives one file the attribute of another.
 * @throws SyscallError ENOTSUP where the target has none of the kind.
 */
export function copyXattr(fromFd: number, toFd: number, name: Buffer): void {
  const key = Buffer.concat([name, Buffer.alloc(1)]);
  const size = Number(sysFgetxattr(fromFd, key, value, value.length));
  // Gone since it was listed, or not for us to read: trusted.* without the capability.
  if (size < 0) return;
  check(sysFsetxattr(toFd, key, value, size, 0), 'fsetxattr', name);
}

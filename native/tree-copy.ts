/**
 * The calls that copy the content and the attributes of an open file, by the kernel itself where it can.
 *
 * WHY NOT node:fs: it has no copy_file_range, no holes, no FICLONE for files that are open, and no xattr.
 * SAFETY: every buffer is owned by the caller for the length of the call; all calls are synchronous and may
 * take as long as the disk does, so that they are made in a process that has nothing else to do.
 */
import { calls, check, cString } from './libc.ts';
import { XATTR_MAX_BYTES } from './tree-read.ts';

const ENXIO = 6;
/** _IOW(0x94, 9, int), equal on x86-64 and arm64. */
const FICLONE = 0x40049409;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

const sysCopyFileRange = calls.func(
  'int64_t mydocker_copy_file_range(int from, void *fromAt, int to, void *toAt, size_t size, unsigned int flags)',
);
const sysIoctl = calls.func('int mydocker_ioctl(int fd, unsigned long request, int argument)');
const sysLseek = calls.func('int64_t mydocker_lseek(int fd, int64_t offset, int whence)');
const sysFgetxattr = calls.func(
  'int64_t mydocker_fgetxattr(int fd, const void *name, void *value, size_t size)',
);
const sysFsetxattr = calls.func(
  'int mydocker_fsetxattr(int fd, const void *name, const void *value, size_t size, int flags)',
);

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
  const found = sysLseek(fd, from, SEEK_DATA) as number;
  if (found === -ENXIO) return undefined;
  const start = check(found, 'lseek');
  return { start, end: check(sysLseek(fd, start, SEEK_HOLE), 'lseek') };
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
  return check(sysCopyFileRange(fromFd, fromAt, toFd, toAt, size, 0), 'copy_file_range');
}

/**
 * Gives one file the attribute of another.
 * @param name - its bytes as latin1.
 * @throws SyscallError ENOTSUP where the target has none of the kind.
 */
export function copyXattr(fromFd: number, toFd: number, name: string): void {
  const key = cString(Buffer.from(name, 'latin1'));
  const size = Number(sysFgetxattr(fromFd, key, value, value.length));
  // Gone since it was listed, or not for us to read: trusted.* without the capability.
  if (size < 0) return;
  check(sysFsetxattr(toFd, key, value, size, 0), 'fsetxattr', name);
}

/**
 * Asks who holds a lock of fcntl(2) on a file, without taking it.
 *
 * WHY NOT node:fs: it has no file locks.
 * SAFETY: does not block; the buffer lives in this function's frame.
 */
import { calls, check } from './libc.ts';

const F_GETLK = 5;
const F_WRLCK = 1;
const F_UNLCK = 2;
/** struct flock on 64 bits: type, whence, start at 8, length at 16, pid at 24. */
const FLOCK_BYTES = 32;

const sysFcntl = calls.func('int mydocker_fcntl(int fd, int command, void *argument)');

/**
 * Whether another process holds a lock that would refuse ours on the whole file.
 * @param fd - open; of a file that this process has locked itself, closing it gives that lock up.
 * @throws SyscallError EBADF, EINVAL.
 */
export function isLockedByAnother(fd: number): boolean {
  const flock = Buffer.alloc(FLOCK_BYTES);
  flock.writeInt16LE(F_WRLCK, 0);
  check(sysFcntl(fd, F_GETLK, flock), 'fcntl F_GETLK');
  return flock.readInt16LE(0) !== F_UNLCK;
}

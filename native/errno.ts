/**
 * What a failed system call looks like to the layers above: which call, which errno, on what.
 */
import { getSystemErrorName } from 'node:util';

/** Thrown by every binding in this folder. */
export class SyscallError extends Error {
  override readonly name = 'SyscallError';
  /** Name of the call: `openat2`. */
  readonly syscall: string;
  /** Symbolic errno: `ENOENT`. */
  readonly errno: string;
  /** Its number. */
  readonly errnoNumber: number;
  /** What the call was made on; `''` when it takes no path. For messages only. */
  readonly path: string;

  constructor(syscall: string, errnoNumber: number, path = '') {
    const errno = errnoName(errnoNumber);
    super(`${syscall}${path === '' ? '' : ` ${path}`}: ${errno}`);
    this.syscall = syscall;
    this.errno = errno;
    this.errnoNumber = errnoNumber;
    this.path = path;
  }
}

/** `ENOENT` for 2; `errno 4095` for a number that has no name. */
export function errnoName(errnoNumber: number): string {
  try {
    return getSystemErrorName(-errnoNumber);
  } catch {
    return `errno ${errnoNumber}`;
  }
}

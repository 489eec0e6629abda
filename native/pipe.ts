/**
 * Pipes to hand to other processes.
 *
 * WHY NOT node:child_process: it makes pipes only for the children that it spawns itself.
 * SAFETY: does not block; the buffer lives in this function's frame.
 */
import { calls, check } from './libc.ts';

const O_CLOEXEC = 0o2000000;

const sysPipe2 = calls.func('int mydocker_pipe2(void *ends, int flags)');

/** The two ends of a pipe, both close-on-exec and blocking, the caller's to close. */
export interface Pipe {
  readonly read: number;
  readonly write: number;
}

/**
 * pipe2(2).
 * @throws SyscallError EMFILE, ENFILE.
 */
export function makePipe(): Pipe {
  const ends = new Int32Array(2);
  check(sysPipe2(ends, O_CLOEXEC), 'pipe2');
  return { read: ends[0] ?? -1, write: ends[1] ?? -1 };
}

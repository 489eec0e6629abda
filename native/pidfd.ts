/**
 * Processes held by descriptor: a pid may name another process tomorrow, a pidfd never does.
 *
 * WHY NOT process.kill: between looking a pid up and signalling it the pid may have been given away.
 * SAFETY: synchronous, never blocks.
 */
import { SyscallError } from './errno.ts';
import { lastErrno, libc } from './libc.ts';

/** Same numbers on x86-64 and arm64. */
const SYS_PIDFD_SEND_SIGNAL = 424;
const SYS_PIDFD_OPEN = 434;

const sysPidfdOpen = libc.func('long syscall(long n, int pid, unsigned int flags)');
const sysPidfdSendSignal = libc.func(
  'long syscall(long n, int pidfd, int signal, void *info, unsigned int flags)',
);

/**
 * A descriptor of the process that has this pid now; close-on-exec.
 * @throws SyscallError ESRCH when there is none.
 */
export function pidfdOpen(pid: number): number {
  const fd = sysPidfdOpen(SYS_PIDFD_OPEN, pid, 0) as number;
  if (fd < 0) throw new SyscallError('pidfd_open', lastErrno(), String(pid));
  return Number(fd);
}

/**
 * Sends `signal` to exactly that process.
 * @throws SyscallError ESRCH when it has ended.
 */
export function pidfdSendSignal(pidfd: number, signal: number): void {
  if (Number(sysPidfdSendSignal(SYS_PIDFD_SEND_SIGNAL, pidfd, signal, null, 0)) < 0)
    throw new SyscallError('pidfd_send_signal', lastErrno(), String(pidfd));
}

/**
 * Processes held by descriptor: a pid may name another process tomorrow, a pidfd never does.
 *
 * WHY NOT process.kill: between looking a pid up and signalling it the pid may have been given away.
 * SAFETY: synchronous, never blocks.
 */
import { calls, check } from './libc.ts';

/** Same numbers on x86-64 and arm64. */
const SYS_PIDFD_SEND_SIGNAL = 424;
const SYS_PIDFD_OPEN = 434;

const sysPidfdOpen = calls.func('long mydocker_syscall(long n, long pid, long flags, long, long, long)');
const sysPidfdSendSignal = calls.func(
  'long mydocker_syscall(long n, long pidfd, long signal, void *info, long flags, long)',
);

/**
 * A descriptor of the process that has this pid now; close-on-exec.
 * @throws SyscallError ESRCH when there is none.
 */
export function pidfdOpen(pid: number): number {
  return check(sysPidfdOpen(SYS_PIDFD_OPEN, pid, 0, 0, 0, 0), 'pidfd_open', String(pid));
}

/**
 * Sends `signal` to exactly that process.
 * @throws SyscallError ESRCH when it has ended.
 */
export function pidfdSendSignal(pidfd: number, signal: number): void {
  const result = sysPidfdSendSignal(SYS_PIDFD_SEND_SIGNAL, pidfd, signal, null, 0, 0);
  check(result, 'pidfd_send_signal', String(pidfd));
}

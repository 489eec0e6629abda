/**
 * A process held by pid and start time together: a pid alone may be another process by tomorrow.
 */
import { closeSync, openSync } from 'node:fs';
import { pidfdOpen, pidfdSendSignal } from '../../native/pidfd.ts';
import { processStartTime } from '../../native/process.ts';

/**
 * A descriptor of exactly that process, to be closed by the caller.
 * @param startTime - clock ticks since boot (/proc/PID/stat).
 * @returns undefined when it has ended.
 */
export function openProcess(pid: number, startTime: bigint): number | undefined {
  let pidfd: number;
  try {
    pidfd = pidfdOpen(pid);
  } catch {
    return undefined;
  }
  if (processStartTime(pid) === startTime) return pidfd;
  closeSync(pidfd);
  return undefined;
}

/**
 * What exactly that process has below its folder in /proc, to be closed by the caller.
 * @param path - `ns/mnt`, `fd/40`.
 * @returns undefined when it has ended.
 */
export function openOfProcess(pid: number, startTime: bigint, path: string): number | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(`/proc/${pid}/${path}`, 'r');
  } catch {
    return undefined;
  }
  if (processStartTime(pid) === startTime) return descriptor;
  closeSync(descriptor);
  return undefined;
}

/** Sends a signal to exactly that process; nothing happens when it has ended. */
export function signalProcess(pid: number, startTime: bigint, signal: number): void {
  const pidfd = openProcess(pid, startTime);
  if (pidfd === undefined) return;
  try {
    pidfdSendSignal(pidfd, signal);
  } catch {
    // It ended between the two calls.
  } finally {
    closeSync(pidfd);
  }
}

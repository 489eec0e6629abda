/** Facts about a process that tell it from a later one with the same pid, and an end that is one. */
import { readFileSync } from 'node:fs';
import { libc } from './libc.ts';

// void _exit(int status);
const sysExit = libc.func('void _exit(int)');

/**
 * Ends this process at once. Nothing is flushed that was not written.
 *
 * WHY NOT process.exit: it joins V8's threads, and one that compiles while it wants the main thread to collect
 * garbage waits for ever (seen with Node 24.21: one exit in 20 while a stream was read).
 */
export function exitNow(status: number): void {
  sysExit(status);
}

/**
 * Start time in clock ticks since boot: field 22 of /proc/PID/stat (proc_pid_stat(5)).
 * @returns 0n when there is no such process.
 */
export function processStartTime(pid: number): bigint {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name before the bracket may hold spaces and brackets.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return BigInt(fields[19] ?? '0');
  } catch {
    return 0n;
  }
}

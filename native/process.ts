/** Facts about a process that tell it from a later one with the same pid. */
import { readFileSync } from 'node:fs';

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

/** What processes weigh: proportional set size, in which a shared page counts for each process by its share. */
import { readFileSync } from 'node:fs';
import { listProcesses } from '../harness/leaks.ts';

/** Proportional set size of a process in bytes; 0 when it is gone. */
export function pssBytes(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Sizes of all processes whose command line matches, in bytes. */
export function pssOfAll(command: RegExp): number[] {
  return listProcesses()
    .filter((entry) => command.test(entry.command))
    .map(({ pid }) => pssBytes(pid));
}

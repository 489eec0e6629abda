/**
 * Shims and zygotes by what they call themselves: when a server died in the middle of a start, the list of
 * processes is the only place where what it had set going can be found.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { processStartTime } from '../../native/process.ts';

/** A process of the shim program. */
export interface Stray {
  readonly pid: number;
  readonly startTime: bigint;
  /** As ps shows it, without what only fills it up. */
  readonly title: string;
}

/** Every process runs from a copy that is nowhere on the disk. */
const PROGRAM = '/memfd:mydocker-shim';

function strayOf(pid: number, prefix: string): Stray | undefined {
  try {
    const title = (readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0] ?? '').trimEnd();
    // A title is anybody's to choose; the program is not.
    if (!title.startsWith(prefix) || !readlinkSync(`/proc/${pid}/exe`).startsWith(PROGRAM)) return undefined;
    return { pid, startTime: processStartTime(pid), title };
  } catch {
    return undefined; // it ended while we looked
  }
}

/** @param prefix - of the title: `mydocker-shim /run/mydocker/shims/`. */
export function findStrays(prefix: string): Stray[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => strayOf(Number(name), prefix) ?? []);
}

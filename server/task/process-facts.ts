/** What /proc tells of a process, for lists of a container's processes. */
import { readFileSync } from 'node:fs';

/** A process as it is now. */
export interface ProcessFacts {
  /** On the host. */
  readonly pid: number;
  /** In its innermost pid namespace. */
  readonly innerPid: number;
  readonly parentPid: number;
  /** Effective, on the host. */
  readonly uid: number;
  readonly gid: number;
  /** One letter: `R`, `S`, `D`, `Z` … */
  readonly state: string;
  readonly threads: number;
  readonly cpuTimeMs: number;
  readonly rssBytes: number;
  /** ns since the epoch. */
  readonly startedAt: bigint;
  /** `pts/0`; `''`: none. */
  readonly terminal: string;
  /** Short name. */
  readonly name: string;
  /** None for a zombie. */
  readonly args: readonly string[];
}

/** USER_HZ, the same on every machine that Linux runs on today. */
const TICKS_PER_SECOND = 100;
const MS_PER_TICK = 1000 / TICKS_PER_SECOND;
const NS_PER_MS = 1_000_000n;
const KIB = 1024;
/** Longest command line that is read whole. */
const MAX_ARGS_BYTES = 64 * KIB;

// Places behind the name in /proc/PID/stat, proc_pid_stat(5): field 3 is the first.
const STATE = 0;
const PARENT = 1;
const TTY = 4;
const USER_TIME = 11;
const SYSTEM_TIME = 12;
const THREADS = 17;
const START_TIME = 19;

/** When the machine was booted, in ms since the epoch. */
export function bootTimeMs(): number {
  const [up = '0'] = readFileSync('/proc/uptime', 'latin1').split(' ');
  return Date.now() - Number(up) * 1000;
}

/** @returns undefined when it has ended. */
export function readProcess(pid: number, bootMs: number): ProcessFacts | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    // The name may hold anything but the last bracket.
    const end = stat.lastIndexOf(')');
    const fields = stat.slice(end + 2).split(' ');
    const number = (place: number): number => Number(fields[place] ?? 0);
    const line = (name: string): string[] =>
      (new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '').split(/\s+/);
    return {
      pid,
      innerPid: Number(line('NSpid').at(-1) ?? pid),
      parentPid: number(PARENT),
      uid: Number(line('Uid')[1] ?? 0),
      gid: Number(line('Gid')[1] ?? 0),
      state: fields[STATE] ?? '?',
      threads: number(THREADS),
      cpuTimeMs: (number(USER_TIME) + number(SYSTEM_TIME)) * MS_PER_TICK,
      rssBytes: Number(line('VmRSS')[0] || 0) * KIB,
      startedAt: BigInt(Math.round(bootMs + number(START_TIME) * MS_PER_TICK)) * NS_PER_MS,
      terminal: terminalName(number(TTY)),
      name: stat.slice(stat.indexOf('(') + 1, end),
      args: argsOf(pid),
    };
  } catch {
    return undefined;
  }
}

function argsOf(pid: number): readonly string[] {
  const text = readFileSync(`/proc/${pid}/cmdline`).subarray(0, MAX_ARGS_BYTES).toString();
  return text === '' ? [] : text.replace(/\0$/, '').split('\0');
}

/** Unix98 terminals have the major numbers 136 to 143. */
function terminalName(device: number): string {
  const major = (device >> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >> 12) & 0xfff00);
  return major >= 136 && major <= 143 ? `pts/${(major - 136) * 256 + minor}` : '';
}

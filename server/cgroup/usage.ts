/**
 * What a container's group has used: the controllers' counters, read on v1 and v2 into the same numbers. Two hundred
 * containers are read each second, so a file costs three system calls and no more.
 */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import type { CgroupUsage, Pressure, PressureLine } from '../model/usage.ts';
import { type CgroupLayout, cgroupFolders, hierarchyOf } from './layout.ts';
import type { CgroupPlace } from './limits.ts';

const buffer = Buffer.allocUnsafe(64 << 10);

/** Text of a small file of the kernel's; `''` where there is none. */
function readFacts(path: string): string {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return '';
  }
  try {
    return buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0));
  } catch {
    // The group is on its way out.
    return '';
  } finally {
    closeSync(fd);
  }
}

/** The number behind a word at the begin of a line. */
function numberOf(text: string, key: string): number {
  const at = text.startsWith(`${key} `) ? 0 : text.indexOf(`\n${key} `) + 1;
  if (at === 0 && !text.startsWith(`${key} `)) return 0;
  return Number.parseInt(text.slice(at + key.length + 1), 10);
}

const whole = (text: string): number => Number.parseInt(text, 10) || 0;

/** Where each kind of counter is; found once for a machine. */
export interface UsageReader {
  /** @returns undefined where the group is gone. */
  read(path: string): CgroupUsage | undefined;
}

export function usageReader(layout: CgroupLayout): UsageReader {
  if (layout.kind === 'v2') return { read: (path) => readV2(`${layout.unified}${path}`) };
  const mounts = {
    cpuacct: hierarchyOf(layout, 'cpuacct'),
    cpu: hierarchyOf(layout, 'cpu'),
    memory: hierarchyOf(layout, 'memory'),
    pids: hierarchyOf(layout, 'pids'),
    blkio: hierarchyOf(layout, 'blkio'),
  };
  // A machine may lack all three.
  const first = cgroupFolders(layout, '')[0];
  const isThere = (path: string): boolean => existsSync(`${first}${path}`);
  return { read: (path) => readV1(mounts, layout.unified, path, isThere) };
}

type Mounts = Readonly<Record<'cpuacct' | 'cpu' | 'memory' | 'pids' | 'blkio', string | undefined>>;

function readV1(
  mounts: Mounts,
  unified: string | undefined,
  path: string,
  isThere: (path: string) => boolean,
): CgroupUsage | undefined {
  const of = (mount: string | undefined, file: string): string =>
    mount === undefined ? '' : readFacts(`${mount}${path}/${file}`);
  const user = of(mounts.cpuacct, 'cpuacct.usage_user');
  const charged = of(mounts.memory, 'memory.usage_in_bytes');
  const pids = of(mounts.pids, 'pids.current');
  if (user === '' && charged === '' && pids === '' && !isThere(path)) return undefined;
  const cpu = of(mounts.cpu, 'cpu.stat');
  const memory = of(mounts.memory, 'memory.stat');
  return {
    cpu: {
      userNs: whole(user),
      systemNs: whole(of(mounts.cpuacct, 'cpuacct.usage_sys')),
      periods: numberOf(cpu, 'nr_periods'),
      throttledPeriods: numberOf(cpu, 'nr_throttled'),
      throttledNs: numberOf(cpu, 'throttled_time'),
    },
    memory: {
      charged: whole(charged),
      inactiveFile: numberOf(memory, 'total_inactive_file'),
      anonymous: numberOf(memory, 'total_rss'),
      cache: numberOf(memory, 'total_cache'),
      swap: numberOf(memory, 'total_swap'),
      peak: whole(of(mounts.memory, 'memory.max_usage_in_bytes')),
      oomKills: numberOf(of(mounts.memory, 'memory.oom_control'), 'oom_kill'),
    },
    pids: whole(pids),
    io: ioV1(
      of(mounts.blkio, 'blkio.throttle.io_service_bytes_recursive'),
      of(mounts.blkio, 'blkio.throttle.io_serviced_recursive'),
    ),
    ...(unified === undefined ? {} : pressureOf(`${unified}${path}`)),
  };
}

/** `254:0 Read 4096`, a line for each device and kind. */
function ioV1(bytes: string, operations: string): CgroupUsage['io'] {
  const sum = (text: string, word: string): number => {
    let total = 0;
    for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1))
      total += whole(text.slice(at + word.length));
    return total;
  };
  return {
    readBytes: sum(bytes, ' Read '),
    writtenBytes: sum(bytes, ' Write '),
    reads: sum(operations, ' Read '),
    writes: sum(operations, ' Write '),
  };
}

const NS_PER_US = 1000;

function readV2(folder: string): CgroupUsage | undefined {
  const cpu = readFacts(`${folder}/cpu.stat`);
  if (cpu === '') return undefined;
  const memory = readFacts(`${folder}/memory.stat`);
  return {
    cpu: {
      userNs: numberOf(cpu, 'user_usec') * NS_PER_US,
      systemNs: numberOf(cpu, 'system_usec') * NS_PER_US,
      periods: numberOf(cpu, 'nr_periods'),
      throttledPeriods: numberOf(cpu, 'nr_throttled'),
      throttledNs: numberOf(cpu, 'throttled_usec') * NS_PER_US,
    },
    memory: {
      charged: whole(readFacts(`${folder}/memory.current`)),
      inactiveFile: numberOf(memory, 'inactive_file'),
      anonymous: numberOf(memory, 'anon'),
      cache: numberOf(memory, 'file'),
      swap: whole(readFacts(`${folder}/memory.swap.current`)),
      peak: whole(readFacts(`${folder}/memory.peak`)),
      oomKills: numberOf(readFacts(`${folder}/memory.events`), 'oom_kill'),
    },
    pids: whole(readFacts(`${folder}/pids.current`)),
    io: ioV2(readFacts(`${folder}/io.stat`)),
    ...pressureOf(folder),
  };
}

/** `254:0 rbytes=4096 wbytes=0 rios=1 wios=0 …`, a line for each device. */
function ioV2(text: string): CgroupUsage['io'] {
  const sum = (word: string): number =>
    [...text.matchAll(new RegExp(` ${word}=(\\d+)`, 'g'))].reduce(
      (total, match) => total + Number(match[1]),
      0,
    );
  return { readBytes: sum('rbytes'), writtenBytes: sum('wbytes'), reads: sum('rios'), writes: sum('wios') };
}

function pressureOf(folder: string): Pick<CgroupUsage, 'pressure'> {
  const cpu = readFacts(`${folder}/cpu.pressure`);
  if (cpu === '') return {};
  return {
    pressure: {
      cpu: parsePressure(cpu),
      memory: parsePressure(readFacts(`${folder}/memory.pressure`)),
      io: parsePressure(readFacts(`${folder}/io.pressure`)),
    },
  };
}

const NO_PRESSURE: PressureLine = { avg10: 0, avg60: 0, avg300: 0, totalUs: 0 };

/** `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, then the same for `full`. */
function parsePressure(text: string): Pressure {
  const line = (word: string): PressureLine => {
    const match = new RegExp(`^${word} avg10=(\\S+) avg60=(\\S+) avg300=(\\S+) total=(\\d+)`, 'm').exec(text);
    if (match === null) return NO_PRESSURE;
    const [avg10 = 0, avg60 = 0, avg300 = 0, totalUs = 0] = match.slice(1).map(Number);
    return { avg10, avg60, avg300, totalUs };
  };
  return { some: line('some'), full: line('full') };
}

/** Whether processes of the group have been killed for memory: how many up to now. */
export function oomKills({ layout, path }: CgroupPlace): number {
  const memory = hierarchyOf(layout, 'memory');
  const file =
    memory === undefined ? `${layout.unified}${path}/memory.events` : `${memory}${path}/memory.oom_control`;
  return numberOf(readFacts(file), 'oom_kill');
}

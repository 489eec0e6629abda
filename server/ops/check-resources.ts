/**
 * Whether limits can be, as far as the host and the limits among themselves tell: what the kernel has to say comes
 * later (server/cgroup/apply-limits.ts).
 */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { MydockerError } from '../model/error.ts';
import type { Resources } from '../model/resources.ts';
import { MIN_MEMORY_LIMIT_BYTES } from '../model/size.ts';
import { invalid } from './check-mounts.ts';

const NANOS = 1_000_000_000n;
/** The kernel's shortest quota: 1 ms in a period of 100 ms. */
const MIN_NANO_CPUS = NANOS / 100n;
/** The kernel's, kernel/sched/core.c: min_cfs_quota_period and max_cfs_runtime. */
const MIN_QUOTA_US = 1000n;
const MAX_QUOTA_US = (1n << 44n) / 1000n;
/** No machine has more; ranges that overlap again and again must not cost time. */
const MAX_CPUS = 65_536;
/** Longest CPU list that is read, in characters; the widest machine's fits. */
const MAX_CPUSET_CHARS = 4096;
/** Entries for devices, interfaces and files. */
const MAX_ENTRIES = 64;
/** Rules of devices: each is some instructions of a program that the kernel checks. */
const MAX_RULES = 256;

/** What of the host decides. */
export interface HostCpus {
  /** Numbers of the CPUs that are online. */
  readonly online: ReadonlySet<number>;
  /** Numbers of the memory nodes; absent: 0 alone. */
  readonly nodes?: ReadonlySet<number>;
}

/** The CPUs and memory nodes of this machine, looked up each time: they come and go. */
export function hostCpus(): HostCpus {
  const list = (path: string): ReadonlySet<number> | undefined => {
    try {
      return new Set(parseCpuList(readFileSync(path, 'utf8').trim()));
    } catch {
      return undefined;
    }
  };
  return {
    // Without sysfs there is at least a number.
    online:
      list('/sys/devices/system/cpu/online') ??
      new Set(Array.from({ length: availableParallelism() }, (_, cpu) => cpu)),
    nodes: list('/sys/devices/system/node/online') ?? new Set([0]),
  };
}

/** @throws MydockerError `invalid-argument` for the first limit that cannot be. */
export function checkResources(resources: Resources, host: HostCpus): void {
  checkMemory(resources);
  checkCpu(resources, host.online.size);
  const { cpusetCpus, cpusetMems, pidsMax } = resources;
  if (cpusetCpus !== undefined) checkList('cpu list', 'CPU', cpusetCpus, host.online);
  if (cpusetMems !== undefined)
    checkList('memory node list', 'memory node', cpusetMems, host.nodes ?? new Set([0]));
  if (pidsMax !== undefined && pidsMax < 1n)
    throw invalid('pids limit', String(pidsMax), 'it is below 1', { hint: '-1 is no limit' });
  checkBlockIo(resources);
  checkEntries(resources);
}

function range(what: string, value: number | undefined, least: number, most: number): void {
  if (value !== undefined && (!Number.isInteger(value) || value < least || value > most))
    throw invalid(what, String(value), `it is not between ${least} and ${most}`);
}

const MINIMUM_HINT = { hint: 'for example 64m' };

function checkMemory(resources: Resources): void {
  const { memoryLimitBytes: limit, memoryReservationBytes: soft, memorySwapLimitBytes: both } = resources;
  if (limit !== undefined && limit < MIN_MEMORY_LIMIT_BYTES)
    throw invalid(
      'memory limit',
      String(limit),
      'it is below 6 MiB, the least that a container can start with',
      MINIMUM_HINT,
    );
  if (soft !== undefined && soft < MIN_MEMORY_LIMIT_BYTES)
    throw invalid('memory reservation', String(soft), 'it is below 6 MiB', MINIMUM_HINT);
  if (soft !== undefined && limit !== undefined && soft > limit)
    throw invalid('memory reservation', String(soft), `it is above the memory limit, ${limit}`);
  checkSwap(limit, both);
  range('memory swappiness', resources.memorySwappiness, 0, 100);
  if (resources.oomKillDisable === true && limit === undefined)
    throw invalid('oom kill disable', 'true', 'without a memory limit the whole machine would wait', {
      hint: 'give --memory too',
    });
  for (const [what, bytes] of [
    ['kernel memory limit', resources.kernelMemoryLimitBytes],
    ['kernel memory tcp limit', resources.kernelMemoryTcpLimitBytes],
  ] as const)
    if (bytes !== undefined && bytes < 0n) throw invalid(what, String(bytes), 'it is negative');
}

function checkSwap(limit: bigint | undefined, both: bigint | undefined): void {
  if (both === undefined || both === -1n) return;
  if (limit === undefined)
    throw invalid('memory swap limit', String(both), 'memory itself is not limited', {
      hint: 'give --memory too',
    });
  if (both < limit)
    throw invalid('memory swap limit', String(both), `it is below the memory limit, ${limit}`, {
      hint: 'it is memory and swap together',
    });
}

function checkCpu(resources: Resources, count: number): void {
  const { cpuShares, nanoCpus, cpuPeriodUs, cpuQuotaUs, cpuRtPeriodUs, cpuRtRuntimeUs } = resources;
  if (cpuShares !== undefined && (cpuShares < 2 || cpuShares > 262_144))
    throw invalid('cpu shares', String(cpuShares), 'they are not between 2 and 262144');
  if (nanoCpus !== undefined) {
    if (cpuPeriodUs !== undefined || cpuQuotaUs !== undefined)
      throw invalid('cpu limit', String(Number(nanoCpus) / 1e9), 'a period or quota is given too', {
        hint: '--cpus stands for both',
      });
    checkNanoCpus(nanoCpus, count);
  }
  range('cpu period', cpuPeriodUs, 1000, 1_000_000);
  if (cpuQuotaUs !== undefined && (cpuQuotaUs < MIN_QUOTA_US || cpuQuotaUs > MAX_QUOTA_US))
    throw invalid('cpu quota', String(cpuQuotaUs), 'it is not at least 1000', { hint: '-1 is no limit' });
  checkExceeding(resources, count);
  range('cpu real-time period', cpuRtPeriodUs, 1, 2_000_000);
  const most = BigInt(cpuRtPeriodUs ?? 1_000_000);
  if (cpuRtRuntimeUs !== undefined && (cpuRtRuntimeUs < 0n || cpuRtRuntimeUs > most))
    throw invalid('cpu real-time runtime', String(cpuRtRuntimeUs), `it is not between 0 and ${most}`);
}

function checkExceeding(
  { cpuExceedRate: rate, cpuQuotaUs: quota, cpuPeriodUs: period = 100_000 }: Resources,
  count: number,
): void {
  if (rate === undefined) return;
  if (!(rate > 0 && rate <= 1000))
    throw invalid('cpu exceed rate', String(rate), 'it is not between 0 and 1000');
  const most = Math.floor(period * count * rate);
  if (quota !== undefined && quota > BigInt(most))
    throw invalid('cpu quota', String(quota), `it is above ${most}, which the exceed rate ${rate} allows`);
}

function checkNanoCpus(nanoCpus: bigint, count: number): void {
  const text = String(Number(nanoCpus) / Number(NANOS));
  if (nanoCpus < MIN_NANO_CPUS)
    throw invalid('cpu limit', text, 'it is below 0.01, the least that the kernel knows');
  if (nanoCpus > BigInt(count) * NANOS)
    throw invalid('cpu limit', text, `the host has ${count} CPU${count === 1 ? '' : 's'}`);
}

function checkList(what: string, thing: string, text: string, online: ReadonlySet<number>): void {
  let numbers: number[];
  try {
    numbers = parseCpuList(text);
  } catch {
    throw invalid(what, text, 'it is not a list of numbers and ranges', { hint: 'for example 0-2,4' });
  }
  const missing = numbers.find((number) => !online.has(number));
  if (missing !== undefined)
    throw invalid(what, text, `the host has no ${thing} ${missing}`, {
      hint: `it has ${formatCpuList(online)}`,
    });
}

function checkBlockIo(resources: Resources): void {
  const { blkioWeight, blkioLeafWeight, blkioWeightDevices = [], blkioThrottleDevices = [] } = resources;
  range('blkio leaf weight', blkioLeafWeight, 10, 1000);
  range('blkio weight', blkioWeight, 10, 1000);
  for (const { weight, leafWeight } of blkioWeightDevices) {
    if (weight !== 0) range('blkio weight of a device', weight, 10, 1000);
    if (leafWeight !== 0) range('blkio leaf weight of a device', leafWeight, 10, 1000);
  }
  for (const [what, list] of [
    ['blkio weights of devices', blkioWeightDevices],
    ['rates of devices', blkioThrottleDevices],
  ] as const)
    if (list.length > MAX_ENTRIES) throw tooMany(what, list.length);
}

const tooMany = (what: string, count: number, most = MAX_ENTRIES): MydockerError =>
  invalid(what, String(count), `there are more than ${most}`);

function checkEntries(resources: Resources): void {
  const { hugepageLimits = [], netPriorities = {}, unified = {}, deviceRules = [] } = resources;
  if (deviceRules.length > MAX_RULES) throw tooMany('device rules', deviceRules.length, MAX_RULES);
  for (const { pageSizeBytes } of hugepageLimits)
    if (!existsSync(`/sys/kernel/mm/hugepages/hugepages-${pageSizeBytes >> 10n}kB`))
      throw invalid('size of huge pages', String(pageSizeBytes), 'the host has no pages of this size', {
        hint: 'for example 2MB',
      });
  for (const [what, names] of [
    ['priorities of packets', Object.keys(netPriorities)],
    ['files of cgroup v2', Object.keys(unified)],
  ] as const)
    if (names.length > MAX_ENTRIES) throw tooMany(what, names.length);
  for (const name of Object.keys(netPriorities))
    if (!/^[^\s/]{1,15}$/.test(name)) throw invalid('interface', name, 'it is no name of an interface');
  for (const [file, value] of Object.entries(unified)) {
    // Interface files of controllers; what moves processes or hands down controllers is the server's alone.
    if (!/^[a-z][a-z0-9_]*(?:\.[a-zA-Z0-9_-]+)+$/.test(file) || file.startsWith('cgroup.'))
      throw invalid('file of cgroup v2', file, 'it is no file of a controller', {
        hint: 'for example memory.high',
      });
    if (value === '' || value.length > MAX_CPUSET_CHARS || value.includes('\0'))
      throw invalid(`content of ${file}`, value, 'it cannot be written');
  }
}

/**
 * Numbers of a CPU list as the kernel writes them: `0-2,4`.
 * @throws RangeError when it is none; each number is bounded, so that no range is long.
 */
export function parseCpuList(text: string): number[] {
  if (text.length > MAX_CPUSET_CHARS) throw new RangeError('too long');
  const cpus = new Set<number>();
  let steps = 0;
  for (const part of text.split(',')) {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part);
    if (match === null) throw new RangeError('not a list');
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    steps += last - first;
    if (last < first || steps > MAX_CPUS) throw new RangeError('not a range');
    for (let cpu = first; cpu <= last; cpu += 1) cpus.add(cpu);
  }
  return [...cpus];
}

function formatCpuList(online: ReadonlySet<number>): string {
  const cpus = [...online].sort((a, b) => a - b);
  const last = cpus.at(-1);
  return cpus.length > 1 && last === cpus.length - 1 ? `0-${last}` : cpus.join(',');
}

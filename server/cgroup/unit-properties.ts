/**
 * Limits as properties of a unit of systemd. systemd writes what it knows of a group again whenever it likes (at
 * `systemctl daemon-reload`, say), so that it has to know the limits, or takes them back. They are read off the very
 * files and values that this server writes: one table of limits, and nothing can be in one of the two only.
 *
 * The unit is one level above the container's group, which has the same limits exactly: what systemd has no property
 * for is only there.
 * Source: systemd.resource-control(5), org.freedesktop.systemd1(5).
 */
import { posix } from 'node:path';
import { UNLIMITED, type UnitProperty } from '../model/unit.ts';
import type { CgroupWrite } from './limits.ts';

const MICROSECONDS = 1_000_000n;
/** systemd keeps the share of a CPU in whole percents. */
const QUOTA_STEP_US = 10_000n;

const amount = (text: string): bigint => (/^\d+$/.test(text) ? BigInt(text) : UNLIMITED);
const number = (name: string, value: bigint): UnitProperty => ({ name, signature: 't', value });

/** Properties with one number, by file; what is not a number is no limit. */
const NUMBERS: Readonly<Record<string, string>> = {
  'cpu.weight': 'CPUWeight',
  'memory.max': 'MemoryMax',
  'memory.high': 'MemoryHigh',
  'memory.low': 'MemoryLow',
  'memory.min': 'MemoryMin',
  'memory.swap.max': 'MemorySwapMax',
  'pids.max': 'TasksMax',
  'cpu.shares': 'CPUShares',
  'memory.limit_in_bytes': 'MemoryLimit',
  'blkio.weight': 'BlockIOWeight',
};

/** What `io.max` calls a rate. */
const RATES: Readonly<Record<string, string>> = {
  rbps: 'IOReadBandwidthMax',
  wbps: 'IOWriteBandwidthMax',
  riops: 'IOReadIOPSMax',
  wiops: 'IOWriteIOPSMax',
};
const RATES_V1: Readonly<Record<string, string>> = {
  'blkio.throttle.read_bps_device': 'BlockIOReadBandwidth',
  'blkio.throttle.write_bps_device': 'BlockIOWriteBandwidth',
};

/** Time of all CPUs in a second; `max` and `-1`: no limit. */
function quota(quotaUs: string, periodUs: string): UnitProperty[] {
  const period = BigInt(periodUs);
  const perSecond = (BigInt(amount(quotaUs)) * MICROSECONDS + period - 1n) / period;
  const stepped = ((perSecond + QUOTA_STEP_US - 1n) / QUOTA_STEP_US) * QUOTA_STEP_US;
  return [
    number('CPUQuotaPerSecUSec', amount(quotaUs) === UNLIMITED ? UNLIMITED : stepped),
    number('CPUQuotaPeriodUSec', period),
  ];
}

/** `0-2,5` as bits, the lowest byte first; nothing but white space: as the group above. */
export function listBits(list: string): number[] {
  const bytes: number[] = [];
  for (const range of list.trim().split(',').filter(Boolean)) {
    const [first = 0, last = first] = range.split('-').map(Number);
    for (let bit = first; bit <= last; bit += 1) {
      while (bytes.length <= bit >> 3) bytes.push(0);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
    }
  }
  return bytes;
}

const devicePath = (numbers: string): string => `/dev/block/${numbers}`;
const ofDevice = (name: string, numbers: string, value: bigint): UnitProperty => ({
  name,
  signature: 'a(st)',
  value: [[devicePath(numbers), value]],
});

/** The kernel's bfq takes 1 to 1000, and systemd stretches what is above 100. */
const bfqToIoWeight = (weight: bigint): bigint => (weight <= 100n ? weight : 100n + (weight - 100n) * 11n);

function weight(file: string, value: string): UnitProperty[] {
  const [what = '', given = what] = value.split(' ');
  const raw = amount(given);
  const own = file === 'io.bfq.weight' && raw !== UNLIMITED ? bfqToIoWeight(raw) : raw;
  return /^\d+:\d+$/.test(what) ? [ofDevice('IODeviceWeight', what, own)] : [number('IOWeight', own)];
}

function rates(value: string): UnitProperty[] {
  const [device = '', ...limits] = value.split(' ');
  return limits.flatMap((limit) => {
    const [key = '', most = ''] = limit.split('=');
    const name = RATES[key];
    return name === undefined ? [] : [ofDevice(name, device, amount(most))];
  });
}

/** Beside the container's group something keeps the unit. */
const withKeeper = (tasks: bigint): bigint => (tasks === UNLIMITED ? tasks : tasks + 1n);

function propertiesOf(file: string, value: string, all: ReadonlyMap<string, string>): UnitProperty[] {
  const name = NUMBERS[file];
  if (name !== undefined)
    return [number(name, file === 'pids.max' ? withKeeper(amount(value)) : amount(value))];
  switch (file) {
    case 'cpu.max': {
      const [most = 'max', period = '100000'] = value.split(' ');
      return quota(most, period);
    }
    case 'cpu.cfs_quota_us':
      return quota(value, all.get('cpu.cfs_period_us') ?? '100000');
    case 'cpuset.cpus':
      return [{ name: 'AllowedCPUs', signature: 'ay', value: listBits(value) }];
    case 'cpuset.mems':
      return [{ name: 'AllowedMemoryNodes', signature: 'ay', value: listBits(value) }];
    case 'io.weight':
    case 'io.bfq.weight':
      return weight(file, value);
    case 'io.max':
      return rates(value);
    default: {
      const rate = RATES_V1[file];
      const [device = '', most = ''] = value.split(' ');
      // 0 lifts it in the file.
      return rate === undefined ? [] : [ofDevice(rate, device, most === '0' ? UNLIMITED : amount(most))];
    }
  }
}

/** Lists of one property are one list. */
function merged(properties: readonly UnitProperty[]): UnitProperty[] {
  const byName = new Map<string, UnitProperty>();
  for (const property of properties) {
    const before = byName.get(property.name);
    const both =
      before !== undefined && Array.isArray(before.value) && Array.isArray(property.value)
        ? { ...property, value: [...before.value, ...property.value] }
        : property;
    byName.set(property.name, both);
  }
  return [...byName.values()];
}

/**
 * Properties that make systemd write what these writes do.
 * @param layout - cpusets of v1 are not systemd's.
 */
export function limitProperties(writes: readonly CgroupWrite[], isV2: boolean): UnitProperty[] {
  const all = new Map(writes.map(({ file, value }) => [posix.basename(file), value.trim()]));
  return merged(
    writes
      .map(({ file, value }) => ({ name: posix.basename(file), value: value.trim() }))
      .filter(({ name }) => isV2 || !name.startsWith('cpuset.'))
      .flatMap(({ name, value }) => propertiesOf(name, value, all)),
  );
}

/** What a container's scope is made with, beside its limits. */
export function scopeProperties(id: string, slice: string, pid: number, isV2: boolean): UnitProperty[] {
  const yes = (name: string): UnitProperty => ({ name, signature: 'b', value: true });
  return [
    { name: 'Description', signature: 's', value: `mydocker container ${id}` },
    { name: 'Slice', signature: 's', value: slice },
    { name: 'PIDs', signature: 'au', value: [pid] },
    // What is below belongs to whoever asked for the unit, the files of limits included.
    yes('Delegate'),
    ...['CPUAccounting', 'MemoryAccounting', 'TasksAccounting'].map(yes),
    yes(isV2 ? 'IOAccounting' : 'BlockIOAccounting'),
    // Not systemd's own limit for units that say nothing.
    number('TasksMax', UNLIMITED),
    // One that failed (a process was killed for memory) is forgotten as well.
    { name: 'CollectMode', signature: 's', value: 'inactive-or-failed' },
    { name: 'DefaultDependencies', signature: 'b', value: false },
  ];
}

/**
 * Limits of a container as plain values, and how a change of some of them joins the others. What they become on a
 * machine is the business of server/cgroup.
 */

/** Weight of one device among those that the container uses. */
export interface BlkioWeightDevice {
  /** `/dev/sda` or `8:0`. */
  readonly device: string;
  /** 10 to 1000; 0: as the container's. */
  readonly weight: number;
  /** Against the group's own children, 10 to 1000; 0: not set. */
  readonly leafWeight: number;
}

/** Rates of one device, each a second; absent: as it is, 0n: no limit. */
export interface BlkioThrottleDevice {
  /** `/dev/sda` or `8:0`. */
  readonly device: string;
  readonly readBytesPerSecond?: bigint | undefined;
  readonly writeBytesPerSecond?: bigint | undefined;
  readonly readOperationsPerSecond?: bigint | undefined;
  readonly writeOperationsPerSecond?: bigint | undefined;
}

/** The rates that a device may have. */
export type BlkioRate = Exclude<keyof BlkioThrottleDevice, 'device'>;
export const BLKIO_RATES: readonly BlkioRate[] = [
  'readBytesPerSecond',
  'writeBytesPerSecond',
  'readOperationsPerSecond',
  'writeOperationsPerSecond',
];

/** Limit of huge pages of one size, in bytes. */
export interface HugepageLimit {
  readonly pageSizeBytes: bigint;
  readonly limitBytes: bigint;
}

/** One allowance or prohibition of the device controller; `null` is any number. */
export interface DeviceRule {
  readonly allow: boolean;
  readonly type: 'c' | 'b';
  readonly major: number | null;
  readonly minor: number | null;
  /** Some of `rwm`: read, write, make a node. */
  readonly access: string;
}

/** Limits of a container; an absent field is "no limit", or the kernel's default. */
export interface Resources {
  /** Hard memory limit in bytes, at least 6 MiB; without a swap limit, swap is limited to the same amount again. */
  readonly memoryLimitBytes?: bigint;
  /** Memory that is reclaimed last, in bytes. */
  readonly memoryReservationBytes?: bigint;
  /** Memory and swap together, in bytes; -1n: swap without limit. */
  readonly memorySwapLimitBytes?: bigint;
  /** 0 to 100. */
  readonly memorySwappiness?: number;
  /** Processes wait at the memory limit instead of being killed. */
  readonly oomKillDisable?: boolean;
  /** In bytes, of older kernels. */
  readonly kernelMemoryLimitBytes?: bigint;
  /** In bytes. */
  readonly kernelMemoryTcpLimitBytes?: bigint;
  /** Relative weight, 2 to 262144; 1024 is the default of the kernel. */
  readonly cpuShares?: number;
  /** CPU time in billionths of a CPU: 1.5 CPUs are 1_500_000_000n. */
  readonly nanoCpus?: bigint;
  /** Length of a period in µs, 1000 to 1000000. */
  readonly cpuPeriodUs?: number;
  /** CPU time in each period in µs, at least 1000n. */
  readonly cpuQuotaUs?: bigint;
  /** How often the CPUs of the host a quota may be; no limit of the kernel's. */
  readonly cpuExceedRate?: number;
  /** In µs, at most 2000000. */
  readonly cpuRtPeriodUs?: number;
  /** In µs. */
  readonly cpuRtRuntimeUs?: bigint;
  /** CPU list such as `0-2,4`, checked against the host. */
  readonly cpusetCpus?: string;
  /** List of memory nodes, checked against the host. */
  readonly cpusetMems?: string;
  /** Most processes and threads at once; absent is unlimited. */
  readonly pidsMax?: bigint;
  /** 10 to 1000. */
  readonly blkioWeight?: number;
  /** Against the group's own children, 10 to 1000, of older kernels. */
  readonly blkioLeafWeight?: number;
  readonly blkioWeightDevices?: readonly BlkioWeightDevice[];
  readonly blkioThrottleDevices?: readonly BlkioThrottleDevice[];
  readonly hugepageLimits?: readonly HugepageLimit[];
  /** Class of outgoing packets. */
  readonly netClassId?: number;
  /** Interface of the host to the priority of packets that leave by it. */
  readonly netPriorities?: Readonly<Record<string, number>>;
  /** Beyond the default ones, in order. */
  readonly deviceRules?: readonly DeviceRule[];
  /** Files of cgroup v2 and their content, as they are. */
  readonly unified?: Readonly<Record<string, string>>;
}

/** What an update may say of each field: a new value, or nothing any more. Absent: as it is. */
export type ResourceChange = { readonly [K in keyof Resources]?: Resources[K] | null };

/** The fields of which only one can be: the later one takes the place of the other. */
const EXCLUDES: Partial<Record<keyof Resources, readonly (keyof Resources)[]>> = {
  nanoCpus: ['cpuPeriodUs', 'cpuQuotaUs'],
  cpuPeriodUs: ['nanoCpus'],
  cpuQuotaUs: ['nanoCpus'],
};

/** Limits after a change: devices and sizes that it does not name keep theirs. */
export function changeResources(now: Resources, change: ResourceChange): Resources {
  const next: Record<string, unknown> = { ...now };
  for (const [key, value] of Object.entries(change)) {
    for (const other of EXCLUDES[key as keyof Resources] ?? [])
      if (change[other] === undefined) delete next[other];
    if (value === null) delete next[key];
    else next[key] = value;
  }
  const join = <K extends keyof Resources>(
    key: K,
    joined: (before: NonNullable<Resources[K]>, after: NonNullable<Resources[K]>) => unknown,
  ): void => {
    const before = now[key];
    const after = change[key];
    if (before !== undefined && after !== undefined && after !== null)
      next[key] = joined(before as NonNullable<Resources[K]>, after as NonNullable<Resources[K]>);
  };
  join('blkioWeightDevices', (before, after) => byKey(before, after, ({ device }) => device));
  join('blkioThrottleDevices', (before, after) => byKey(before, after, ({ device }) => device));
  join('hugepageLimits', (before, after) => byKey(before, after, ({ pageSizeBytes }) => `${pageSizeBytes}`));
  join('deviceRules', (before, after) => byLast([...before, ...after]));
  join('netPriorities', (before, after) => ({ ...before, ...after }));
  join('unified', (before, after) => ({ ...before, ...after }));
  return next as Resources;
}

/** Rules in order, but for those that are said again later. */
function byLast(rules: readonly DeviceRule[]): DeviceRule[] {
  const keyOf = ({ type, major, minor, access }: DeviceRule): string => `${type} ${major} ${minor} ${access}`;
  return rules.filter((rule, index) => !rules.slice(index + 1).some((later) => keyOf(later) === keyOf(rule)));
}

/** Entries that are named again change, field by field, and stay where they are; new ones come behind. */
function byKey<T extends object>(
  before: readonly T[],
  after: readonly T[],
  keyOf: (entry: T) => string,
): T[] {
  const entries = new Map(before.map((entry) => [keyOf(entry), entry]));
  for (const entry of after) {
    const given = Object.entries(entry).filter(([, value]) => value !== undefined);
    entries.set(keyOf(entry), { ...entries.get(keyOf(entry)), ...(Object.fromEntries(given) as T) });
  }
  return [...entries.values()];
}

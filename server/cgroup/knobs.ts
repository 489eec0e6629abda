/**
 * The table of limits: which fields of a container's resources become which files and values, on v1 and on v2. Where
 * the two count differently, the conversion is the one of the OCI runtimes (runtime-spec, config-linux.md and
 * config-linux "unified"; shares and weights as in crun's cgroup-v2 document and runc).
 */
import { BLKIO_RATES, type BlkioRate, type BlkioThrottleDevice, type Resources } from '../model/resources.ts';

/** What a file gets; undefined: what the group above has. */
export type KnobValue = string | undefined;

/** One thing to write: the first of the files that the kernel has. */
export interface KnobWrite {
  /** On v1 the controller whose hierarchy the file is in. */
  readonly controller: string;
  readonly choices: readonly (readonly [file: string, value: KnobValue])[];
  /** Not every kernel has it, and nobody asked for it. */
  readonly optional?: boolean;
}

/** Writes for limits; for fields that are absent, those that lift them. */
type Writes = (resources: Resources) => readonly KnobWrite[];
/** Why a hierarchy has no such thing, and what would do. */
type Lack = readonly [why: string, hint: string];

/** Limits that stand and fall together. */
export interface Knob {
  readonly fields: readonly (keyof Resources)[];
  /** In words, for errors. */
  readonly option: string;
  readonly v1: Writes | Lack;
  readonly v2: Writes | Lack;
}

/** Length of one scheduling period; Docker's and the kernel's. */
const CPU_PERIOD_US = 100_000;
const NANOS = 1_000_000_000n;
const UNLIMITED = -1n;

/** 2..262144 onto 1..10000. */
export const sharesToWeight = (shares: number): number => 1 + Math.floor(((shares - 2) * 9999) / 262142);
/** 10..1000 onto 1..10000. */
export const blkioToIoWeight = (weight: number): number => 1 + Math.floor(((weight - 10) * 9999) / 990);

const one = (controller: string, file: string, value: KnobValue, optional = false): KnobWrite => ({
  controller,
  choices: [[file, value]],
  ...(optional ? { optional } : {}),
});
const amount = (bytes: bigint | undefined, none: string): string =>
  bytes === undefined || bytes === UNLIMITED ? none : String(bytes);

const ONLY_V1: Lack = ['cgroup v2 has no such limit', 'leave it out'];
const ONLY_V2: Lack = ['cgroup v1 has no such file', 'use the option for the limit itself'];

/** Memory and swap are one limit on v1, and two on v2. */
function memoryV1({ memoryLimitBytes: limit, memorySwapLimitBytes: swap }: Resources): KnobWrite[] {
  const both = swap ?? (limit === undefined ? undefined : limit * 2n);
  return [
    one('memory', 'memory.limit_in_bytes', amount(limit, '-1')),
    one('memory', 'memory.memsw.limit_in_bytes', amount(both, '-1'), swap === undefined),
  ];
}

function memoryV2({ memoryLimitBytes: limit, memorySwapLimitBytes: both }: Resources): KnobWrite[] {
  const swap = both === undefined || both === UNLIMITED || limit === undefined ? both : both - limit;
  return [
    one('memory', 'memory.max', amount(limit, 'max')),
    one('memory', 'memory.swap.max', amount(swap ?? limit, 'max'), both === undefined),
  ];
}

/** Time in each period. */
function cpuTime({ nanoCpus, cpuPeriodUs = CPU_PERIOD_US, cpuQuotaUs }: Resources): [bigint, bigint] {
  const period = BigInt(cpuPeriodUs);
  if (nanoCpus !== undefined) return [(nanoCpus * period) / NANOS, period];
  return [cpuQuotaUs ?? UNLIMITED, period];
}

const cpuV1: Writes = (resources) => {
  const [quota, period] = cpuTime(resources);
  return [one('cpu', 'cpu.cfs_period_us', String(period)), one('cpu', 'cpu.cfs_quota_us', String(quota))];
};
const cpuV2: Writes = (resources) => {
  const [quota, period] = cpuTime(resources);
  return [one('cpu', 'cpu.max', `${quota < 0n ? 'max' : quota} ${period}`)];
};

/** Of a device; 0: the group's own, which only CFQ takes as a number. */
const deviceWeight = (weight: number): string => (weight === 0 ? 'default' : String(weight));

/** Each device has a line of its own. */
const weightDevices = (files: readonly string[], leafFiles: readonly string[]): Writes => {
  const line = (names: readonly string[], value: string): KnobWrite[] => [
    { controller: 'blkio', choices: names.map((name) => [name, value] as const) },
  ];
  return ({ blkioWeightDevices: devices = [] }) =>
    devices.flatMap(({ device, weight, leafWeight }) => [
      ...(weight === 0 && leafWeight !== 0 ? [] : line(files, `${device} ${deviceWeight(weight)}`)),
      ...(leafWeight === 0 ? [] : line(leafFiles, `${device} ${leafWeight}`)),
    ]);
};

const RATE_V1: Readonly<Record<BlkioRate, string>> = {
  readBytesPerSecond: 'blkio.throttle.read_bps_device',
  writeBytesPerSecond: 'blkio.throttle.write_bps_device',
  readOperationsPerSecond: 'blkio.throttle.read_iops_device',
  writeOperationsPerSecond: 'blkio.throttle.write_iops_device',
};
const RATE_V2: Readonly<Record<BlkioRate, string>> = {
  readBytesPerSecond: 'rbps',
  writeBytesPerSecond: 'wbps',
  readOperationsPerSecond: 'riops',
  writeOperationsPerSecond: 'wiops',
};
const given = (device: BlkioThrottleDevice): [BlkioRate, bigint][] =>
  BLKIO_RATES.flatMap((rate) => (device[rate] === undefined ? [] : [[rate, device[rate]]]));

/** Pages are named as the kernel names them: `2MB`, `1GB`. */
export function pageSizeName(bytes: bigint): string {
  if (bytes % (1n << 30n) === 0n) return `${bytes >> 30n}GB`;
  return bytes % (1n << 20n) === 0n ? `${bytes >> 20n}MB` : `${bytes >> 10n}KB`;
}

/** In the order in which they are written. */
export const KNOBS: readonly Knob[] = [
  {
    fields: ['memoryLimitBytes', 'memorySwapLimitBytes'],
    option: 'memory limit',
    v1: memoryV1,
    v2: memoryV2,
  },
  {
    fields: ['memoryReservationBytes'],
    option: 'memory reservation',
    v1: (r) => [one('memory', 'memory.soft_limit_in_bytes', amount(r.memoryReservationBytes, '-1'))],
    v2: (r) => [one('memory', 'memory.low', amount(r.memoryReservationBytes, '0'))],
  },
  {
    fields: ['memorySwappiness'],
    option: 'memory swappiness',
    v1: (r) => [one('memory', 'memory.swappiness', r.memorySwappiness?.toString())],
    v2: ['cgroup v2 has no swappiness', 'limit the swap with --memory-swap'],
  },
  {
    fields: ['oomKillDisable'],
    option: 'oom kill disable',
    v1: (r) => [one('memory', 'memory.oom_control', r.oomKillDisable === true ? '1' : '0')],
    v2: ['on cgroup v2 the kernel always kills', 'protect it with --oom-score-adj'],
  },
  {
    fields: ['kernelMemoryLimitBytes'],
    option: 'kernel memory limit',
    v1: (r) => [one('memory', 'memory.kmem.limit_in_bytes', amount(r.kernelMemoryLimitBytes, '-1'))],
    v2: ['on cgroup v2 kernel memory is part of the memory limit', 'use --memory alone'],
  },
  {
    fields: ['kernelMemoryTcpLimitBytes'],
    option: 'kernel memory tcp limit',
    v1: (r) => [one('memory', 'memory.kmem.tcp.limit_in_bytes', amount(r.kernelMemoryTcpLimitBytes, '-1'))],
    v2: ['on cgroup v2 TCP buffers are part of the memory limit', 'use --memory alone'],
  },
  {
    fields: ['cpuShares'],
    option: 'cpu shares',
    v1: (r) => [one('cpu', 'cpu.shares', String(r.cpuShares ?? 1024))],
    v2: (r) => [
      one('cpu', 'cpu.weight', r.cpuShares === undefined ? '100' : String(sharesToWeight(r.cpuShares))),
    ],
  },
  {
    fields: ['nanoCpus', 'cpuPeriodUs', 'cpuQuotaUs'],
    option: 'cpu limit',
    v1: cpuV1,
    v2: cpuV2,
  },
  {
    fields: ['cpuRtPeriodUs', 'cpuRtRuntimeUs'],
    option: 'cpu real-time limit',
    v1: (r) => [
      one('cpu', 'cpu.rt_period_us', String(r.cpuRtPeriodUs ?? 1_000_000)),
      one('cpu', 'cpu.rt_runtime_us', String(r.cpuRtRuntimeUs ?? 0n)),
    ],
    v2: ['cgroup v2 does not share out real-time', 'leave it out, or boot with cgroup v1'],
  },
  {
    fields: ['cpusetCpus'],
    option: 'cpu list',
    v1: (r) => [one('cpuset', 'cpuset.cpus', r.cpusetCpus)],
    v2: (r) => [one('cpuset', 'cpuset.cpus', r.cpusetCpus ?? '\n')],
  },
  {
    fields: ['cpusetMems'],
    option: 'memory node list',
    v1: (r) => [one('cpuset', 'cpuset.mems', r.cpusetMems)],
    v2: (r) => [one('cpuset', 'cpuset.mems', r.cpusetMems ?? '\n')],
  },
  {
    fields: ['pidsMax'],
    option: 'pids limit',
    v1: (r) => [one('pids', 'pids.max', amount(r.pidsMax, 'max'))],
    v2: (r) => [one('pids', 'pids.max', amount(r.pidsMax, 'max'))],
  },
  {
    fields: ['blkioWeight'],
    option: 'blkio weight',
    v1: ({ blkioWeight: w = 100 }) => [
      {
        controller: 'blkio',
        choices: ['blkio.bfq.weight', 'blkio.weight'].map((file) => [file, String(w)] as const),
      },
    ],
    v2: ({ blkioWeight: w }) => [
      {
        controller: 'io',
        choices: [
          ['io.bfq.weight', String(w ?? 100)],
          ['io.weight', `default ${w === undefined ? 100 : blkioToIoWeight(w)}`],
        ],
      },
    ],
  },
  {
    fields: ['blkioLeafWeight'],
    option: 'blkio leaf weight',
    v1: ({ blkioLeafWeight: w = 500 }) => [one('blkio', 'blkio.leaf_weight', String(w))],
    v2: ONLY_V1,
  },
  {
    fields: ['blkioWeightDevices'],
    option: 'blkio weight of a device',
    v1: weightDevices(['blkio.bfq.weight_device', 'blkio.weight_device'], ['blkio.leaf_weight_device']),
    v2: ({ blkioWeightDevices: devices = [] }) =>
      devices.map(({ device, weight }) => ({
        controller: 'io',
        choices: [
          ['io.bfq.weight', `${device} ${deviceWeight(weight)}`],
          ['io.weight', `${device} ${weight === 0 ? 'default' : blkioToIoWeight(weight)}`],
        ],
      })),
  },
  {
    fields: ['blkioThrottleDevices'],
    option: 'rate of a device',
    v1: ({ blkioThrottleDevices: devices = [] }) =>
      devices.flatMap((device) =>
        given(device).map(([rate, value]) => one('blkio', RATE_V1[rate], `${device.device} ${value}`)),
      ),
    v2: ({ blkioThrottleDevices: devices = [] }) =>
      devices.map((device) => {
        const rates = given(device).map(
          ([rate, value]) => `${RATE_V2[rate]}=${value === 0n ? 'max' : value}`,
        );
        return one('io', 'io.max', [device.device, ...rates].join(' '));
      }),
  },
  {
    fields: ['hugepageLimits'],
    option: 'limit of huge pages',
    v1: ({ hugepageLimits: limits = [] }) =>
      limits.map(({ pageSizeBytes, limitBytes }) =>
        one('hugetlb', `hugetlb.${pageSizeName(pageSizeBytes)}.limit_in_bytes`, String(limitBytes)),
      ),
    v2: ({ hugepageLimits: limits = [] }) =>
      limits.map(({ pageSizeBytes, limitBytes }) =>
        one('hugetlb', `hugetlb.${pageSizeName(pageSizeBytes)}.max`, amount(limitBytes, 'max')),
      ),
  },
  {
    fields: ['netClassId'],
    option: 'class of packets',
    v1: (r) => [one('net_cls', 'net_cls.classid', String(r.netClassId ?? 0))],
    v2: ['cgroup v2 marks no packets', 'match the cgroup itself: socket cgroupv2 in nftables'],
  },
  {
    fields: ['netPriorities'],
    option: 'priority of packets',
    v1: ({ netPriorities = {} }) =>
      Object.entries(netPriorities).map(([name, priority]) =>
        one('net_prio', 'net_prio.ifpriomap', `${name} ${priority}`),
      ),
    v2: ONLY_V1,
  },
  {
    fields: ['unified'],
    option: 'file of cgroup v2',
    v1: ONLY_V2,
    v2: ({ unified = {} }) =>
      Object.entries(unified).map(([file, value]) => one(file.split('.')[0] ?? '', file, value)),
  },
];

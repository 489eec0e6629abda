/** From the options of limits to the contract's, for create, run and update alike. */
import type {
  BlkioThrottleDevice,
  BlkioWeightDevice,
  HugepageLimit,
  Resources,
} from '../proto/gen/mydocker/v1/resources.ts';
import type { Values } from './grammar/option.ts';
import type { ResourceOptions } from './grammar/resource-options.ts';
import { parseBillionths, parseSize, parseWhole } from './parse/parse-number.ts';
import { UsageError } from './usage-error.ts';

/** Limits as requests take them. */
export type ResourceFields = NonNullable<Parameters<typeof Resources.fromPartial>[0]>;
type Given = Values<ResourceOptions>;

const BILLIONTHS_PER_PERCENT = 10_000_000n;
const MOST = Number.MAX_SAFE_INTEGER;

/**
 * What was given and nothing else. As with Docker, 0 is the default where it is no value of its own.
 * @returns undefined where no limit was given.
 * @throws UsageError
 */
export function resourceFields(options: Given): ResourceFields | undefined {
  const fields: ResourceFields = {
    ...memory(options),
    ...cpu(options),
    ...blockIo(options),
    ...others(options),
  };
  return Object.keys(fields).length === 0 ? undefined : fields;
}

/** A field where its option was given, and is not what stands for "nothing said". */
function field<K extends keyof ResourceFields>(
  key: K,
  text: string | undefined,
  parse: (text: string) => ResourceFields[K],
): ResourceFields {
  const value = text === undefined ? undefined : parse(text);
  return value === undefined ? {} : { [key]: value };
}

const orDefault = <T extends number | bigint>(value: T): T | undefined =>
  value === 0 || value === 0n ? undefined : value;

function memory(options: Given): ResourceFields {
  return {
    ...field('memoryLimitBytes', options.memory, (text) => orDefault(parseSize('--memory', text))),
    ...field('memoryReservationBytes', options.memoryReservation, (text) =>
      orDefault(parseSize('--memory-reservation', text)),
    ),
    ...field('memorySwapLimitBytes', options.memorySwap, (text) =>
      orDefault(parseSize('--memory-swap', text)),
    ),
    ...field('memorySwappiness', options.memorySwappiness, (text) => {
      const value = parseWhole('--memory-swappiness', text, -1, 100);
      return value < 0 ? undefined : value;
    }),
    ...(options.oomKillDisable === undefined ? {} : { oomKillDisable: options.oomKillDisable }),
    ...field('kernelMemoryLimitBytes', options.kernelMemory, (text) =>
      orDefault(parseSize('--kernel-memory', text)),
    ),
    ...field('kernelMemoryTcpLimitBytes', options.kernelMemoryTcp, (text) =>
      orDefault(parseSize('--kernel-memory-tcp', text)),
    ),
  };
}

function cpu(options: Given): ResourceFields {
  const cpus = nanoCpus(options);
  return {
    ...field('cpuShares', options.cpuShares, (text) =>
      orDefault(parseWhole('--cpu-shares', text, 0, 262_144)),
    ),
    ...(cpus === undefined ? {} : { nanoCpus: cpus }),
    ...field('cpuPeriodUs', options.cpuPeriod, (text) =>
      orDefault(parseWhole('--cpu-period', text, 0, 1_000_000)),
    ),
    ...field('cpuQuotaUs', options.cpuQuota, (text) =>
      orDefault(BigInt(parseWhole('--cpu-quota', text, -1, MOST))),
    ),
    ...field('cpuExceedRate', options.cpuExceedRate, (text) => {
      const rate = Number(parseBillionths('--cpu-exceed-rate', text)) / 1e9;
      return rate === 0 ? undefined : rate;
    }),
    ...field('cpuRtPeriodUs', options.cpuRtPeriod, (text) =>
      orDefault(parseWhole('--cpu-rt-period', text, 0, 2_000_000)),
    ),
    ...field('cpuRtRuntimeUs', options.cpuRtRuntime, (text) =>
      orDefault(BigInt(parseWhole('--cpu-rt-runtime', text, 0, MOST))),
    ),
    ...field('cpusetCpus', options.cpusetCpus, (text) => text),
    ...field('cpusetMems', options.cpusetMems, (text) => text),
    ...field('pidsMax', options.pidsMax, (text) => {
      const most = parseWhole('--pids-limit', text, -1, 4_194_304);
      return most === 0 ? -1n : BigInt(most);
    }),
  };
}

function nanoCpus({ cpus, cpu: percent }: Given): bigint | undefined {
  if (cpus !== undefined && percent !== undefined)
    throw new UsageError('--cpus and --cpu exclude each other');
  if (cpus !== undefined) return parseBillionths('--cpus', cpus) || undefined;
  if (percent === undefined || percent === '-1') return undefined;
  return (parseBillionths('--cpu', percent) * BILLIONTHS_PER_PERCENT) / 1_000_000_000n || undefined;
}

/** `/dev/sda:10m`, `8:0:10m`: what is behind the last colon. */
function split(option: string, text: string, example: string): [name: string, value: string] {
  const cut = text.lastIndexOf(':');
  if (cut > 0 && cut < text.length - 1) return [text.slice(0, cut), text.slice(cut + 1)];
  throw new UsageError(`invalid value ${JSON.stringify(text)} for ${option}: it has no colon in it`, {
    hint: `for example ${option} ${example}`,
  });
}

type Rate = Exclude<keyof BlkioThrottleDevice, 'device'>;

function blockIo(options: Given): ResourceFields {
  const rates: readonly [string, readonly string[], Rate, (option: string, text: string) => bigint][] = [
    ['--device-read-bps', options.deviceReadBps, 'readBytesPerSecond', bytes],
    ['--device-write-bps', options.deviceWriteBps, 'writeBytesPerSecond', bytes],
    ['--device-read-iops', options.deviceReadIops, 'readOperationsPerSecond', operations],
    ['--device-write-iops', options.deviceWriteIops, 'writeOperationsPerSecond', operations],
  ];
  const devices = new Map<string, BlkioThrottleDevice>();
  for (const [option, texts, rate, parse] of rates)
    for (const text of texts) {
      const [device, value] = split(option, text, '/dev/sda:10m');
      devices.set(device, { ...(devices.get(device) ?? { device }), [rate]: parse(option, value) });
    }
  const weights = new Map<string, BlkioWeightDevice>();
  for (const [option, texts, key] of [
    ['--blkio-weight-device', options.blkioWeightDevice, 'weight'],
    ['--blkio-leaf-weight-device', options.blkioLeafWeightDevice, 'leafWeight'],
  ] as const)
    for (const text of texts) {
      const [device, weight] = split(option, text, '/dev/sda:500');
      const before = weights.get(device) ?? { device, weight: 0, leafWeight: 0 };
      weights.set(device, { ...before, [key]: parseWhole(option, weight, 0, 1000) });
    }
  return {
    ...field('blkioWeight', options.blkioWeight, (text) =>
      orDefault(parseWhole('--blkio-weight', text, 0, 1000)),
    ),
    ...field('blkioLeafWeight', options.blkioLeafWeight, (text) =>
      orDefault(parseWhole('--blkio-leaf-weight', text, 0, 1000)),
    ),
    ...(weights.size === 0 ? {} : { blkioWeightDevices: [...weights.values()] }),
    ...(devices.size === 0 ? {} : { blkioThrottleDevices: [...devices.values()] }),
  };
}

function bytes(option: string, text: string): bigint {
  const size = parseSize(option, text);
  if (size >= 0n) return size;
  throw new UsageError(`invalid size ${JSON.stringify(text)} for ${option}: it is negative`, {
    hint: '0 is no limit',
  });
}

const operations = (option: string, text: string): bigint => BigInt(parseWhole(option, text, 0, MOST));

function others(options: Given): ResourceFields {
  const limits = options.hugepagesLimit.map((text): HugepageLimit => {
    const [size, limit] = split('--hugepages-limit', text, '2MB:64m');
    return {
      pageSizeBytes: bytes('--hugepages-limit', size),
      limitBytes: parseSize('--hugepages-limit', limit),
    };
  });
  const priorities = options.netPrio.map((text) => {
    const [name, priority] = split('--net-prio', text, 'eth0:5');
    return [name, parseWhole('--net-prio', priority, 0, 4_294_967_295)] as const;
  });
  return {
    ...(limits.length === 0 ? {} : { hugepageLimits: limits }),
    ...field('netClassId', options.netClassid, (text) =>
      /^0x[0-9a-f]{1,8}$/i.test(text)
        ? Number(text)
        : orDefault(parseWhole('--net-classid', text, 0, 4_294_967_295)),
    ),
    ...(priorities.length === 0 ? {} : { netPriorities: Object.fromEntries(priorities) }),
  };
}

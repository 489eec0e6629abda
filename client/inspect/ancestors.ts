/**
 * Objects with the fields that earlier programs of this kind printed, for scripts that read those. What there is no
 * value for here is empty, 0 or null as it was there.
 */
import type { ContainerConfig, Mount } from '../../proto/gen/mydocker/v1/config.ts';
import type { Container } from '../../proto/gen/mydocker/v1/containers.ts';
import type { Image } from '../../proto/gen/mydocker/v1/images.ts';
import type { Network } from '../../proto/gen/mydocker/v1/networks.ts';
import { TaskStatus } from '../../proto/gen/mydocker/v1/types.ts';
import { showReference, showTime } from '../render/values.ts';

type Fields = Readonly<Record<string, unknown>>;

const CPU_PERIOD_US = 100_000;
/** A whole CPU in `nanoCpus`, for each µs of a period. */
const NANO_CPUS_PER_US = 10_000;

/** Their words: there is nothing between created and running there. */
function statusWord(status: TaskStatus): string {
  if (status === TaskStatus.RUNNING || status === TaskStatus.PAUSED) return 'running';
  return status === TaskStatus.STOPPED ? 'stopped' : 'creating';
}

/** A container with Uuid, Commands, Cgroups, Volumes, Envs, Ports, Endpoints. */
export function ancestorContainer(container: Container): Fields {
  const { config, paths, endpoints, ports } = container;
  return {
    Detach: !(config?.stdinOnce ?? false),
    Uuid: container.id,
    Name: container.name,
    Hostname: config?.hostname ?? '',
    Dns: config?.network?.dnsServers ?? [],
    Image: config?.rootfs?.value ?? '',
    CreateTime: showTime(container.createdAt),
    Status: statusWord(container.status),
    StorageDriver: config?.storageDriver ?? '',
    Rootfs: {
      ContainerDir: paths?.folder ?? '',
      ImageDir: (paths?.lowerDirs ?? []).join(':'),
      WriteDir: paths?.upperDir ?? '',
      // It is mounted in the container's own mount namespace alone.
      MergeDir: '',
    },
    Commands: config?.args ?? [],
    Cgroups: cgroups(container),
    Volumes: Object.fromEntries((config?.mounts ?? []).map((mount) => [sourceOf(mount), mount.destination])),
    Envs: Object.fromEntries((config?.env ?? []).map(splitEnv)),
    Ports: Object.fromEntries(ports.map(({ hostPort, containerPort }) => [hostPort, containerPort])),
    Endpoints: endpoints.map((endpoint) => ({
      IPAddr: endpoint.ipv4Address,
      Device: `${endpoint.hostInterface}@${endpoint.interfaceName}`,
      Network: { name: endpoint.network, driver: 'bridge' },
      Uuid: `${endpoint.networkId.slice(0, 32)}${endpoint.containerId.slice(0, 32)}`,
      Ports: Object.fromEntries(ports.map(({ hostPort, containerPort }) => [hostPort, containerPort])),
    })),
  };
}

/** An image with Uuid, Size, Counts, RepoTag, Entrypoint, Command. */
export function ancestorImage(image: Image): Fields {
  return {
    Uuid: image.id.replace('sha256:', ''),
    Size: Number(image.sizeBytes),
    Counts: image.containerCount,
    RepoTag: image.references.map(showReference).at(0) ?? '<none>:<none>',
    WorkingDir: image.config?.workingDir ?? '',
    CreateTime: showTime(image.addedAt),
    Entrypoint: image.config?.entrypoint ?? [],
    Command: image.config?.command ?? [],
    Envs: image.config?.env ?? [],
  };
}

/** A network with Name, Counts, Driver, IPNet, Gateway. */
export function ancestorNetwork(network: Network): Fields {
  const [subnet] = network.subnets;
  return {
    Name: network.name,
    Counts: network.endpointCount,
    Driver: network.driver,
    CreateTime: showTime(network.createdAt),
    IPNet: subnet?.cidr ?? '',
    Gateway: subnet?.gateway ?? '',
  };
}

function cgroups({ config, run }: Container): Fields {
  return {
    Pid: run?.pid ?? 0,
    Path: run?.cgroupPath ?? '',
    Resources: resources(config?.resources),
  };
}

function resources(limits: ContainerConfig['resources']): Fields {
  const number = (value: bigint | number | undefined): number => Number(value ?? 0);
  const cpus = number(limits?.nanoCpus);
  return {
    CpuCfsPeriod: limits?.cpuPeriodUs ?? (cpus > 0 ? CPU_PERIOD_US : 0),
    CpuCfsQuota: limits?.cpuQuotaUs === undefined ? quota(cpus) : number(limits.cpuQuotaUs),
    CpuRtPeriod: number(limits?.cpuRtPeriodUs),
    CpuRtRuntime: number(limits?.cpuRtRuntimeUs),
    CpuShares: number(limits?.cpuShares),
    CpusetCpus: limits?.cpusetCpus ?? '',
    CpusetMems: limits?.cpusetMems ?? '',
    MemoryLimit: number(limits?.memoryLimitBytes),
    MemorySoftLimit: number(limits?.memoryReservationBytes),
    MemorySwapLimit: number(limits?.memorySwapLimitBytes),
    MemorySwappiness: number(limits?.memorySwappiness),
    OomKillDisable: limits?.oomKillDisable ?? false,
    KernelMemoryLimit: number(limits?.kernelMemoryLimitBytes),
    KernelMemoryTCPLimit: number(limits?.kernelMemoryTcpLimitBytes),
    BlkioWeight: number(limits?.blkioWeight),
    BlkioLeafWeight: number(limits?.blkioLeafWeight),
    BlkioWeightDevice: [],
    BlkioLeafWeightDevice: [],
    BlkioThrottleReadBpsDevice: [],
    BlkioThrottleWriteBpsDevice: [],
    BlkioThrottleReadIOPSDevice: [],
    BlkioThrottleWriteIOPSDevice: [],
    Device: [],
    PidsMax: number(limits?.pidsMax),
    NetClsClassid: number(limits?.netClassId),
    NetPrioIfpriomap: [],
    Freezer: '',
    HugepagesLimit: [],
  };
}

/** Billionths of a CPU as µs in each period. */
function quota(nanoCpus: number): number {
  return Math.round(nanoCpus / NANO_CPUS_PER_US);
}

function sourceOf({ source }: Mount): string {
  if (source?.$case === 'bind') return source.value.source;
  return source?.$case === 'volume' ? source.value.name : (source?.$case ?? '');
}

function splitEnv(entry: string): [string, string] {
  const cut = entry.indexOf('=');
  return cut < 0 ? [entry, ''] : [entry.slice(0, cut), entry.slice(cut + 1)];
}

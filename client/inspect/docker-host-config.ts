/** `HostConfig` of a container: what of its configuration is about the machine that it runs on. */
import {
  type ContainerConfig,
  NamespaceMode,
  type NamespaceSource,
  NetworkMode,
  RestartMode,
} from '../../proto/gen/mydocker/v1/config.ts';
import type { Container } from '../../proto/gen/mydocker/v1/containers.ts';
import {
  type BlkioThrottleDevice,
  type DeviceRule,
  DeviceType,
  type Resources,
} from '../../proto/gen/mydocker/v1/resources.ts';
import { dockerBinds } from './docker-mounts.ts';
import { isDefaultNetwork, publishedPortMap } from './docker-network-settings.ts';
import { goMap, listOrNil, mapOrNil, NIL_LIST } from './go-values.ts';

const SHM_SIZE = 64 << 20;

const POLICIES: Readonly<Record<number, string>> = {
  [RestartMode.ON_FAILURE]: 'on-failure',
  [RestartMode.ALWAYS]: 'always',
  [RestartMode.UNLESS_STOPPED]: 'unless-stopped',
};

/** @returns fields in Docker's order. */
export function dockerHostConfig({ config, ports }: Container): Readonly<Record<string, unknown>> {
  const { network, namespaces, restartPolicy, security } = config ?? {};
  return {
    Binds: listOrNil(dockerBinds(config?.mounts ?? [])),
    ContainerIDFile: '',
    LogConfig: { Type: config?.log?.disabled ? 'none' : 'cri', Config: goMap<string>([]) },
    NetworkMode: networkMode(config),
    PortBindings: publishedPortMap(network?.ports.length ? network.ports : ports),
    RestartPolicy: {
      Name: POLICIES[restartPolicy?.mode ?? 0] ?? 'no',
      MaximumRetryCount: restartPolicy?.maxRetries ?? 0,
    },
    AutoRemove: config?.autoRemove ?? false,
    VolumeDriver: '',
    VolumesFrom: listOrNil(config?.volumesFrom ?? []),
    CapAdd: listOrNil(security?.capAdd),
    CapDrop: listOrNil(security?.capDrop),
    CgroupnsMode: namespaceMode(namespaces?.cgroup, 'private'),
    Dns: network?.dnsServers ?? [],
    DnsOptions: network?.dnsOptions ?? [],
    DnsSearch: network?.dnsSearch ?? [],
    ExtraHosts: listOrNil(network?.extraHosts.map(({ hostname, address }) => `${hostname}:${address}`)),
    GroupAdd: listOrNil(config?.additionalGroups),
    IpcMode: namespaceMode(namespaces?.ipc, 'private'),
    Cgroup: '',
    Links: NIL_LIST,
    OomScoreAdj: config?.oomScoreAdj ?? 0,
    PidMode: namespaceMode(namespaces?.pid, ''),
    Privileged: security?.privileged ?? false,
    PublishAllPorts: network?.publishAll ?? false,
    ReadonlyRootfs: config?.readOnlyRootfs ?? false,
    SecurityOpt: listOrNil(securityOptions(config)),
    Tmpfs: tmpfs(config),
    UTSMode: namespaceMode(namespaces?.uts, ''),
    UsernsMode: namespaceMode(namespaces?.user, ''),
    ShmSize: Number(config?.shmSizeBytes ?? SHM_SIZE),
    Sysctls: Object.keys(config?.sysctls ?? {}).length === 0 ? undefined : mapOrNil(config?.sysctls ?? {}),
    Runtime: 'mydocker-shim',
    ConsoleSize: [0, 0],
    Isolation: '',
    Init: config?.init ? true : undefined,
    ...limits(config),
    MaskedPaths: security?.maskedPaths?.values ?? [],
    ReadonlyPaths: security?.readOnlyPaths?.values ?? [],
  };
}

function limits(config: ContainerConfig | undefined): Readonly<Record<string, unknown>> {
  const { resources } = config ?? {};
  const number = (value: bigint | number | undefined): number => Number(value ?? 0);
  return {
    CpuShares: number(resources?.cpuShares),
    Memory: number(resources?.memoryLimitBytes),
    NanoCpus: number(resources?.nanoCpus),
    CgroupParent: config?.cgroupParent ?? '',
    BlkioWeight: number(resources?.blkioWeight),
    BlkioWeightDevice: (resources?.blkioWeightDevices ?? []).map(({ device, weight }) => ({
      Path: device,
      Weight: weight,
    })),
    BlkioDeviceReadBps: rates(resources, 'readBytesPerSecond'),
    BlkioDeviceWriteBps: rates(resources, 'writeBytesPerSecond'),
    BlkioDeviceReadIOps: rates(resources, 'readOperationsPerSecond'),
    BlkioDeviceWriteIOps: rates(resources, 'writeOperationsPerSecond'),
    CpuPeriod: number(resources?.cpuPeriodUs),
    CpuQuota: number(resources?.cpuQuotaUs),
    CpuRealtimePeriod: number(resources?.cpuRtPeriodUs),
    CpuRealtimeRuntime: number(resources?.cpuRtRuntimeUs),
    CpusetCpus: resources?.cpusetCpus ?? '',
    CpusetMems: resources?.cpusetMems ?? '',
    Devices: (config?.devices ?? []).map(({ hostPath, containerPath, access }) => ({
      PathOnHost: hostPath,
      PathInContainer: containerPath || hostPath,
      CgroupPermissions: access || 'rwm',
    })),
    DeviceCgroupRules: listOrNil(resources?.deviceRules.map(deviceRule)),
    DeviceRequests: NIL_LIST,
    KernelMemory: number(resources?.kernelMemoryLimitBytes),
    KernelMemoryTCP: number(resources?.kernelMemoryTcpLimitBytes),
    MemoryReservation: number(resources?.memoryReservationBytes),
    MemorySwap:
      number(resources?.memorySwapLimitBytes ?? resources?.memoryLimitBytes) * swapFactor(resources),
    MemorySwappiness: resources?.memorySwappiness ?? null,
    OomKillDisable: resources?.oomKillDisable ?? false,
    PidsLimit: resources?.pidsMax === undefined ? null : number(resources.pidsMax),
    Ulimits: listOrNil(
      config?.ulimits.map(({ name, soft, hard }) => ({ Name: name, Hard: Number(hard), Soft: Number(soft) })),
    ),
    // Windows'.
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
  };
}

/** Of each device that has one, as Docker shows it. */
function rates(
  resources: Resources | undefined,
  rate: Exclude<keyof BlkioThrottleDevice, 'device'>,
): unknown {
  return listOrNil(
    resources?.blkioThrottleDevices.flatMap((entry) =>
      entry[rate] === undefined ? [] : [{ Path: entry.device, Rate: Number(entry[rate]) }],
    ),
  );
}

/** `c 10:229 rwm` */
function deviceRule({ type, major, minor, access }: DeviceRule): string {
  const kind = type === DeviceType.BLOCK ? 'b' : type === DeviceType.CHARACTER ? 'c' : 'a';
  return `${kind} ${major ?? '*'}:${minor ?? '*'} ${access || 'rwm'}`;
}

/** Swap is limited to the same amount again where nobody says otherwise; Docker counts both together. */
function swapFactor(resources: ContainerConfig['resources']): number {
  return resources?.memorySwapLimitBytes === undefined ? 2 : 1;
}

/** `none`, `host`, `container:ID`, or the name of its first network. */
function networkMode(config: ContainerConfig | undefined): string {
  const { network } = config ?? {};
  switch (network?.mode) {
    case NetworkMode.NONE:
      return 'none';
    case NetworkMode.HOST:
      return 'host';
    case NetworkMode.CONTAINER:
      return `container:${network.container}`;
    default: {
      const name = network?.attachments[0]?.network ?? 'default';
      return isDefaultNetwork(name) ? 'default' : name;
    }
  }
}

function namespaceMode(source: NamespaceSource | undefined, own: string): string {
  if (source?.mode === NamespaceMode.HOST) return 'host';
  return source?.mode === NamespaceMode.CONTAINER ? `container:${source.container}` : own;
}

function securityOptions(config: ContainerConfig | undefined): string[] {
  const { security } = config ?? {};
  return [
    ...(security?.noNewPrivileges ? ['no-new-privileges'] : []),
    ...(security?.seccomp?.$case === 'seccompUnconfined' ? ['seccomp=unconfined'] : []),
    ...(security?.apparmorProfile ? [`apparmor=${security.apparmorProfile}`] : []),
  ];
}

/** Destination to options; absent where there is none, as with Docker. */
function tmpfs(config: ContainerConfig | undefined): Readonly<Record<string, string>> | undefined {
  const found = (config?.mounts ?? []).flatMap(({ source, destination, readOnly }) => {
    if (source?.$case !== 'tmpfs') return [];
    const { sizeBytes, mode, options } = source.value;
    const words = [
      ...(readOnly ? ['ro'] : []),
      ...options,
      ...(sizeBytes === undefined ? [] : [`size=${sizeBytes}`]),
      ...(mode === undefined ? [] : [`mode=${mode.toString(8)}`]),
    ];
    return [[destination, words.join(',')] as const];
  });
  return found.length === 0 ? undefined : goMap(found);
}

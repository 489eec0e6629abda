/** The server as `docker info` and `docker version` print it in templates and JSON. Source: Docker Engine API; names only. */
import {
  CgroupLayout,
  type GetInfoResponse,
  type GetVersionResponse,
} from '../../proto/gen/mydocker/v1/system.ts';
import { VERSION } from '../version.ts';
import { goTime } from './go-values.ts';

type Fields = Readonly<Record<string, unknown>>;

/** @returns a value for JSON and templates. */
export function dockerInfo({ server, host, counts, warnings }: GetInfoResponse): Fields {
  return {
    ID: server?.instance ?? '',
    Containers: counts?.containers ?? 0,
    ContainersRunning: counts?.containersRunning ?? 0,
    ContainersPaused: counts?.containersPaused ?? 0,
    ContainersStopped: counts?.containersStopped ?? 0,
    Images: counts?.images ?? 0,
    Driver: server?.storageDriver ?? '',
    DriverStatus: [['Backing Filesystem', server?.backingFilesystem ?? '']],
    Debug: server?.debug ?? false,
    LoggingDriver: 'cri',
    CgroupDriver: server?.cgroupDriver ?? '',
    CgroupVersion: host?.cgroupLayout === CgroupLayout.V2 ? '2' : '1',
    KernelVersion: host?.kernelVersion ?? '',
    OperatingSystem: host?.osName ?? '',
    OSType: host?.platform?.os ?? '',
    Architecture: host?.platform?.architecture ?? '',
    NCPU: host?.cpuCount ?? 0,
    MemTotal: Number(host?.memoryBytes ?? 0n),
    DockerRootDir: server?.rootDir ?? '',
    Name: host?.hostname ?? '',
    Labels: [],
    ServerVersion: server?.version ?? '',
    SystemTime: goTime({ seconds: BigInt(Math.floor(Date.now() / 1000)), nanos: 0 }),
    SecurityOptions: (host?.securityModules ?? []).map((name) => `name=${name}`),
    Warnings: warnings,
    Mydocker: {
      StateDir: server?.stateDir ?? '',
      CgroupParent: server?.cgroupParent ?? '',
      CgroupControllers: host?.cgroupControllers ?? [],
      DefaultNetwork: server?.defaultNetwork ?? '',
      Pid: server?.pid ?? 0,
      StartedAt: goTime(server?.startedAt),
      Listens: server?.listenAddresses ?? [],
    },
  };
}

/** @returns a value for JSON and templates: `Client` and `Server`. */
export function dockerVersion(server: GetVersionResponse): Fields {
  const platform = { Os: server.platform?.os ?? '', Arch: server.platform?.architecture ?? '' };
  return {
    Client: {
      Version: VERSION,
      ApiVersion: 'v1',
      Os: process.platform,
      Arch: process.arch === 'x64' ? 'amd64' : process.arch,
    },
    Server: {
      Version: server.version,
      ApiVersion: server.apiVersion,
      GitCommit: server.gitCommit,
      BuildTime: goTime(server.builtAt),
      KernelVersion: server.kernelVersion,
      ...platform,
      Mydocker: {
        Node: server.nodeVersion,
        Shim: server.shimVersion,
        PlanFormat: server.planFormatVersion,
        StoreFormat: server.storeVersion,
      },
    },
  };
}

/**
 * A container as `docker inspect` prints it: every field that scripts read there, by the same name and with the same
 * kind of value. What Docker has no word for is below `Mydocker`.
 * Source: Docker Engine API, ContainerInspect; names only.
 */
import type { ContainerConfig } from '../../proto/gen/mydocker/v1/config.ts';
import type { Container } from '../../proto/gen/mydocker/v1/containers.ts';
import { type Exit, ExitReason, HealthStatus, TaskStatus } from '../../proto/gen/mydocker/v1/types.ts';
import { dockerHostConfig } from './docker-host-config.ts';
import { dockerMounts, isAnonymousName } from './docker-mounts.ts';
import { dockerNetworkSettings } from './docker-network-settings.ts';
import { exposedPortMap, healthcheck } from './docker-parts.ts';
import { dockerState } from './docker-state.ts';
import { goMap, goTime, listOrNil, NIL_LIST, NIL_MAP } from './go-values.ts';

/** @returns a value for JSON and templates; a field that JSON leaves out is undefined. */
export function dockerContainer(container: Container): Readonly<Record<string, unknown>> {
  const { config, run, paths, size } = container;
  const [path = '', ...args] = config?.args ?? [];
  return {
    Id: container.id,
    Created: goTime(container.createdAt),
    Path: path,
    Args: args,
    State: state(container),
    Image: config?.imageId ?? '',
    // They are made inside the container's own mount namespace; no path of the host leads to them.
    ResolvConfPath: '',
    HostnamePath: '',
    HostsPath: '',
    LogPath: paths?.logFile ?? '',
    Name: `/${container.name}`,
    RestartCount: container.restartCount,
    Driver: config?.storageDriver ?? '',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: config?.security?.selinuxLabel ?? '',
    AppArmorProfile: config?.security?.apparmorProfile ?? '',
    ExecIDs: NIL_LIST,
    HostConfig: dockerHostConfig(container),
    GraphDriver: graphDriver(container),
    SizeRw: size === undefined ? undefined : Number(size.writableBytes),
    SizeRootFs: size === undefined ? undefined : Number(size.rootfsBytes),
    Mounts: dockerMounts(config?.mounts ?? [], paths?.folder ?? ''),
    Config: config === undefined ? undefined : dockerConfig(config),
    NetworkSettings: dockerNetworkSettings(container),
    Mydocker: {
      Rev: Number(container.rev),
      RunId: run?.runId ?? '',
      ShimPid: run?.shimPid ?? 0,
      CgroupPath: run?.cgroupPath ?? '',
      NotResponding: run?.notResponding ?? false,
      ExitReason: reasonName(container.exit),
      ExitSignal: container.exit?.signal ?? 0,
      Folder: paths?.folder ?? '',
    },
  };
}

function state({ status, run, exit, health }: Container): Readonly<Record<string, unknown>> {
  const alive = [TaskStatus.RUNNING, TaskStatus.PAUSED, TaskStatus.RESTARTING].some(
    (word) => word === status,
  );
  return {
    Status: dockerState(status),
    Running: alive,
    Paused: status === TaskStatus.PAUSED,
    Restarting: status === TaskStatus.RESTARTING,
    OOMKilled: !alive && (exit?.oomKilled ?? false),
    Dead: false,
    Pid: run?.pid ?? 0,
    ExitCode: alive ? 0 : (exit?.exitStatus ?? 0),
    Error: alive ? '' : (exit?.message ?? ''),
    StartedAt: goTime(run?.startedAt),
    FinishedAt: goTime(exit?.exitedAt),
    Health:
      health === undefined || health.status === HealthStatus.UNSPECIFIED
        ? undefined
        : {
            Status: nameOf(HealthStatus, health.status),
            FailingStreak: health.failingStreak,
            Log: health.results.map(({ startedAt, exit: end, output }) => ({
              Start: goTime(startedAt),
              End: goTime(end?.exitedAt),
              ExitCode: end?.exitStatus ?? 0,
              Output: output,
            })),
          },
  };
}

function dockerConfig(config: ContainerConfig): Readonly<Record<string, unknown>> {
  const ports = config.network?.exposedPorts ?? [];
  // Those that nobody named, as with Docker; all are among the mounts.
  const volumes = config.mounts.filter(
    ({ source }) => source?.$case === 'volume' && isAnonymousName(source.value.name),
  );
  const { stopTimeoutMs } = config;
  return {
    Hostname: config.hostname,
    Domainname: config.domainname,
    User: config.user ?? '',
    AttachStdin: config.stdinOnce,
    AttachStdout: true,
    AttachStderr: true,
    ExposedPorts: ports.length === 0 ? undefined : exposedPortMap(ports),
    Tty: config.terminal,
    OpenStdin: config.openStdin,
    StdinOnce: config.stdinOnce,
    Env: config.env,
    Cmd: listOrNil(config.command?.values),
    Healthcheck: healthcheck(config.healthCheck),
    Image: config.rootfs?.value ?? '',
    Volumes: volumes.length === 0 ? NIL_MAP : goMap(volumes.map(({ destination }) => [destination, {}])),
    WorkingDir: config.workingDir === '/' ? '' : (config.workingDir ?? ''),
    Entrypoint: listOrNil(config.entrypoint?.values),
    OnBuild: NIL_LIST,
    Labels: goMap(Object.entries(config.labels)),
    StopSignal: config.stopSignal,
    StopTimeout: stopTimeoutMs === undefined ? undefined : Math.round(stopTimeoutMs / 1000),
  };
}

/** Nothing is mounted on the host, so there is no merged directory to look into. */
function graphDriver({ config, paths }: Container): Readonly<Record<string, unknown>> {
  const folder = paths?.folder ?? '';
  const layers = {
    LowerDir: (paths?.lowerDirs ?? []).join(':'),
    UpperDir: paths?.upperDir ?? '',
    WorkDir: folder === '' ? '' : `${folder}/work`,
  };
  return {
    Data: config?.storageDriver === 'overlay' ? goMap(Object.entries(layers)) : NIL_MAP,
    Name: config?.storageDriver ?? '',
  };
}

function reasonName(exit: Exit | undefined): string {
  return exit === undefined ? '' : nameOf(ExitReason, exit.reason);
}

function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  return (Object.keys(names).find((name) => names[name] === value) ?? '').toLowerCase();
}

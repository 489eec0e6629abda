/** A container's configuration on the wire: what a create could be given to make another one like it. */
import {
  ContainerConfig as Codec,
  NetworkMode,
  RestartMode,
  type ContainerConfig as WireConfig,
} from '../../proto/gen/mydocker/v1/config.ts';
import type { ContainerConfig } from '../model/container.ts';
import { signalName } from '../model/signal.ts';
import type { PlaceView } from '../ops/container-networks.ts';
import { encodeAttachment } from './attachments.ts';
import { encodeMounts } from './mounts.ts';
import { encodeNamespaces } from './namespaces.ts';
import { encodeMapping, encodePort } from './ports.ts';
import { encodeResources } from './resources.ts';

const NETWORK = {
  none: NetworkMode.NONE,
  host: NetworkMode.HOST,
  networks: NetworkMode.NETWORKS,
  container: NetworkMode.CONTAINER,
} as const;

const RESTART = {
  'on-failure': RestartMode.ON_FAILURE,
  always: RestartMode.ALWAYS,
  'unless-stopped': RestartMode.UNLESS_STOPPED,
} as const;

/** @param places - where it stands. */
export function encodeConfig(config: ContainerConfig, places: readonly PlaceView[]): WireConfig {
  const { rootfs, resources } = config;
  const shared = config.namespaces?.network;
  const restart = config.restartPolicy;
  const namespaces = encodeNamespaces(config.namespaces);
  return Codec.fromPartial({
    rootfs:
      rootfs.kind === 'image'
        ? { $case: 'image', value: rootfs.reference }
        : { $case: 'rootfsDir', value: rootfs.path },
    imageId: rootfs.kind === 'image' ? rootfs.imageId : '',
    // Containers of earlier versions do not know where the one ends; joined they are the same arguments.
    entrypoint: { values: config.args.slice(0, config.entrypointLength ?? 0) },
    command: { values: config.args.slice(config.entrypointLength ?? 0) },
    args: config.args,
    env: config.env,
    workingDir: config.workingDir,
    user: config.user,
    additionalGroups: config.additionalGroups ?? [],
    hostname: config.hostname,
    terminal: config.terminal,
    openStdin: config.openStdin,
    stdinOnce: config.stdinOnce === true,
    init: config.init === true,
    mounts: encodeMounts(config),
    volumesFrom: [...(config.volumesFrom ?? [])],
    readOnlyRootfs: config.readOnlyRootfs,
    shmSizeBytes: config.shmSizeBytes,
    network: {
      mode: NETWORK[config.network],
      container: shared?.kind === 'container' ? shared.container : '',
      attachments: places.map(encodeAttachment),
      exposedPorts: (config.exposedPorts ?? []).flatMap(encodePort),
      ports: (config.ports ?? []).map(encodeMapping),
      publishAll: config.publishAll === true,
      dnsServers: config.dns?.servers ?? [],
      dnsSearch: config.dns?.search ?? [],
      dnsOptions: config.dns?.options ?? [],
      extraHosts: config.extraHosts ?? [],
    },
    ...(namespaces === undefined ? {} : { namespaces }),
    resources: encodeResources(resources),
    ulimits: config.ulimits ?? [],
    sysctls: config.sysctls ?? {},
    devices: config.devices ?? [],
    ...(config.privileged === true ? { security: { privileged: true } } : {}),
    oomScoreAdj: config.oomScoreAdj,
    cgroupParent: config.cgroupParent ?? '',
    stopSignal: signalName(config.stopSignal),
    stopTimeoutMs: config.stopTimeoutMs,
    autoRemove: config.autoRemove,
    labels: config.labels,
    healthCheck: config.healthCheck,
    ...(restart === undefined
      ? {}
      : { restartPolicy: { mode: RESTART[restart.mode], maxRetries: restart.maxRetries } }),
    storageDriver: rootfs.kind === 'image' ? (config.storageDriver ?? 'overlay') : '',
  });
}

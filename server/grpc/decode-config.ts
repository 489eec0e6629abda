/**
 * A container's configuration from the wire. What this version cannot do is refused by name: an option that
 * is ignored is worse than one that is missing.
 */
import {
  type ContainerConfig,
  type Mount,
  MountPropagation,
  type NamespaceConfig,
  NamespaceMode,
  type NetworkConfig,
  NetworkMode,
  RestartMode,
} from '../../proto/gen/mydocker/v1/config.ts';
import type { Resources as WireResources } from '../../proto/gen/mydocker/v1/resources.ts';
import type { NetworkAttachment } from '../../proto/gen/mydocker/v1/types.ts';
import type { BindMount, Resources } from '../model/container.ts';
import { invalidArgument, type MydockerError, unimplemented } from '../model/error.ts';
import { isAnonymousVolume } from '../model/volume.ts';
import type { ContainerOptions, VolumeChoice } from '../ops/container-options.ts';
import { decodePort } from './ports.ts';
import { refuseRest } from './refuse-rest.ts';

/**
 * @throws MydockerError `invalid-argument` for what only the server sets or what cannot be, `unimplemented`
 * for what this version lacks.
 */
export function decodeConfig(config: ContainerConfig | undefined): ContainerOptions {
  if (config?.rootfs === undefined)
    throw invalidArgument('cannot create container: neither an image nor a rootfs directory was given', {
      reason: 'ROOTFS_MISSING',
      hint: 'set config.image',
    });
  const { rootfs, imageId, args, entrypoint, command, env, workingDir, user, hostname, ...others } = config;
  const { terminal, openStdin, stdinOnce, mounts, readOnlyRootfs, network, resources, ...more } = others;
  const { stopSignal, stopTimeoutMs, autoRemove, labels, healthCheck, storageDriver, ...rest } = more;
  if (imageId !== '' || args.length > 0) throw serverSets(imageId === '' ? 'args' : 'image_id');
  refuseRest('config', withoutDefaults(rest));
  return {
    rootfs:
      rootfs.$case === 'image'
        ? { kind: 'image', reference: rootfs.value }
        : { kind: 'directory', path: rootfs.value },
    ...(entrypoint === undefined ? {} : { entrypoint: entrypoint.values }),
    ...(command === undefined ? {} : { command: command.values }),
    ...(workingDir === undefined ? {} : { workingDir }),
    ...(user === undefined ? {} : { user }),
    ...(healthCheck === undefined ? {} : { healthCheck }),
    ...(storageDriver === '' ? {} : { storageDriver }),
    ...(stopTimeoutMs === undefined ? {} : { stopTimeoutMs }),
    ...{ env, hostname, terminal, openStdin, stdinOnce, readOnlyRootfs, stopSignal, autoRemove, labels },
    ...decodeMounts(mounts),
    ...decodeNetwork(network),
    exposedPorts: (network?.exposedPorts ?? []).map(decodePort),
    resources: decodeResources(resources),
  };
}

type Rest = Pick<ContainerConfig, 'restartPolicy' | 'namespaces'>;

/** Some ways to say what is so anyway. */
function withoutDefaults<T extends Rest>(rest: T): object {
  const { restartPolicy, namespaces, ...others } = rest;
  return {
    ...others,
    ...(restartPolicy?.mode === RestartMode.NEVER ? {} : { restartPolicy }),
    namespaces: Object.fromEntries(Object.entries(namespaces ?? {}).filter(isOtherNamespace)),
  };
}

function isOtherNamespace([name, source]: [string, NamespaceConfig[keyof NamespaceConfig]]): boolean {
  const usual = name === 'user' ? NamespaceMode.HOST : NamespaceMode.PRIVATE;
  return !(source !== undefined && 'mode' in source && source.mode === usual);
}

function decodeMounts(mounts: readonly Mount[]): Pick<ContainerOptions, 'mounts' | 'volumes'> {
  const isVolume = (mount: Mount): boolean => mount.source?.$case === 'volume';
  return {
    mounts: mounts.filter((mount) => !isVolume(mount)).map(decodeMount),
    volumes: mounts.filter(isVolume).map(decodeVolume),
  };
}

function decodeVolume({ destination, readOnly, source }: Mount): VolumeChoice {
  const { name, noCopy, subpath } =
    source?.$case === 'volume' ? source.value : { name: '', noCopy: false, subpath: '' };
  refuseRest('config.mounts.volume', { subpath });
  if (name !== '' && !isAnonymousVolume(name))
    throw lacking(
      'config.mounts.volume.name',
      'named volumes are not there yet; mount a directory of the host',
    );
  return { destination, readOnly, noCopy, ...(name === '' ? {} : { name }) };
}

function decodeMount({ destination, readOnly, source }: Mount): BindMount {
  if (source === undefined)
    throw invalidArgument(`invalid mount ${destination}: it has no source`, {
      reason: 'MOUNT_SOURCE_MISSING',
    });
  if (source.$case !== 'bind')
    throw lacking(`config.mounts.${source.$case}`, 'mount a directory of the host');
  const { source: path, propagation, ...rest } = source.value;
  refuseRest('config.mounts.bind', {
    ...rest,
    ...(propagation === MountPropagation.RPRIVATE ? {} : { propagation }),
  });
  return { source: path, destination, readOnly };
}

type NetworkChoice = Pick<ContainerOptions, 'network' | 'networkNames' | 'dns'>;

function decodeNetwork(network: NetworkConfig | undefined): NetworkChoice {
  if (network === undefined) return {};
  const { mode, attachments, exposedPorts: _, dnsServers, dnsSearch, dnsOptions, ...rest } = network;
  if (mode === NetworkMode.CONTAINER)
    throw lacking(
      'config.network.mode',
      'the network of another container cannot be shared yet; use the default one, NONE or HOST',
    );
  refuseRest('config.network', rest);
  const given = dnsServers.length + dnsSearch.length + dnsOptions.length > 0;
  const dns = given ? { dns: { servers: dnsServers, search: dnsSearch, options: dnsOptions } } : {};
  switch (mode) {
    case NetworkMode.NONE:
    case NetworkMode.HOST:
      if (attachments.length > 0)
        throw invalidArgument('cannot create container: networks are named, and the mode is another', {
          reason: 'NETWORK_CONFLICT',
          hint: 'use the mode NETWORKS, or name none',
        });
      return { network: mode === NetworkMode.NONE ? 'none' : 'host', ...dns };
    case NetworkMode.UNSPECIFIED:
    case NetworkMode.NETWORKS:
      return { network: 'networks', networkNames: attachments.map(decodeAttachment), ...dns };
  }
}

function decodeAttachment({ network, ...rest }: NetworkAttachment): string {
  refuseRest('config.network.attachments', rest);
  return network;
}

/** -1 and an empty list lift a limit, which at a create is to have none. */
function decodeResources(resources: WireResources | undefined): Resources {
  if (resources === undefined) return {};
  const { memoryLimitBytes, cpuShares, nanoCpus, cpusetCpus, pidsMax, ...rest } = resources;
  refuseRest('config.resources', rest);
  return {
    ...(isLimit(memoryLimitBytes) ? { memoryLimitBytes } : {}),
    ...(cpuShares === undefined ? {} : { cpuShares }),
    ...(isLimit(nanoCpus) ? { nanoCpus } : {}),
    ...(cpusetCpus === undefined || cpusetCpus === '' ? {} : { cpusetCpus }),
    ...(isLimit(pidsMax) ? { pidsMax } : {}),
  };
}

function isLimit(value: bigint | undefined): value is bigint {
  return value !== undefined && value !== -1n;
}

function serverSets(field: string): MydockerError {
  return invalidArgument(`invalid config.${field}: it is set by the server`, {
    reason: 'FIELD_OF_SERVER',
    hint: 'leave it out',
    metadata: { field: `config.${field}` },
  });
}

function lacking(field: string, hint: string): MydockerError {
  return unimplemented(`cannot use ${field}: this version of the server lacks it`, {
    reason: 'OPTION_UNIMPLEMENTED',
    hint,
    metadata: { field },
  });
}

/**
 * A container's configuration from the wire. What this version cannot do is refused by name: an option that
 * is ignored is worse than one that is missing.
 */
import {
  type ContainerConfig,
  type NetworkConfig,
  NetworkMode,
  RestartMode,
  type HostEntry as WireHost,
  type RestartPolicy as WirePolicy,
} from '../../proto/gen/mydocker/v1/config.ts';
import type { HostEntry } from '../model/container.ts';
import { invalidArgument, type MydockerError } from '../model/error.ts';
import type { ContainerOptions } from '../ops/container-options.ts';
import { decodeAttachment } from './attachments.ts';
import { decodeMounts } from './mounts.ts';
import { decodeNamespaces } from './namespaces.ts';
import { decodeMapping, decodePort } from './ports.ts';
import { refuseRest } from './refuse-rest.ts';
import { decodeResources } from './resources.ts';

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
  const { stopSignal, stopTimeoutMs, autoRemove, labels, healthCheck, storageDriver, ...last } = more;
  const { additionalGroups, shmSizeBytes, init, namespaces, restartPolicy, ...kernel } = last;
  const { ulimits, sysctls, devices, oomScoreAdj, cgroupParent, volumesFrom, security, ...rest } = kernel;
  if (imageId !== '' || args.length > 0) throw serverSets(imageId === '' ? 'args' : 'image_id');
  refuseRest('config', rest);
  const { privileged = false, ...withheld } = security ?? {};
  refuseRest('config.security', withheld);
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
    ...decodeRestart(restartPolicy),
    ...decodeMounts(mounts),
    ...(volumesFrom.length === 0 ? {} : { volumesFrom }),
    ...(shmSizeBytes === undefined || shmSizeBytes === 0n ? {} : { shmSizeBytes }),
    additionalGroups,
    init,
    ...decodeNetwork(network),
    namespaces: decodeNamespaces(namespaces, network),
    exposedPorts: (network?.exposedPorts ?? []).map(decodePort),
    ports: (network?.ports ?? []).map(decodeMapping),
    publishAll: network?.publishAll ?? false,
    resources: decodeResources(resources),
    ...{ ulimits, sysctls, devices, privileged, cgroupParent },
    ...(oomScoreAdj === undefined ? {} : { oomScoreAdj }),
  };
}

const RESTART = {
  [RestartMode.ON_FAILURE]: 'on-failure',
  [RestartMode.ALWAYS]: 'always',
  [RestartMode.UNLESS_STOPPED]: 'unless-stopped',
} as const;

/** Absent where it never starts by itself. @throws MydockerError `invalid-argument`. */
export function decodeRestart(policy: WirePolicy | undefined): Pick<ContainerOptions, 'restartPolicy'> {
  const { mode = RestartMode.NEVER, maxRetries = 0 } = policy ?? {};
  if (maxRetries !== 0 && mode !== RestartMode.ON_FAILURE)
    throw invalidArgument('invalid config.restart_policy: only ON_FAILURE counts its starts', {
      reason: 'CONFIG_INVALID',
      metadata: { field: 'config.restart_policy.max_retries' },
    });
  if (mode === RestartMode.UNSPECIFIED || mode === RestartMode.NEVER) return {};
  return { restartPolicy: { mode: RESTART[mode], maxRetries } };
}

const ALONE = {
  [NetworkMode.NONE]: 'none',
  [NetworkMode.HOST]: 'host',
  [NetworkMode.CONTAINER]: 'container',
} as const;

type NetworkChoice = Pick<ContainerOptions, 'network' | 'attachments' | 'dns' | 'extraHosts'>;

function decodeNetwork(network: NetworkConfig | undefined): NetworkChoice {
  if (network === undefined) return {};
  const { mode, attachments, exposedPorts: _, dnsServers, dnsSearch, dnsOptions, ...more } = network;
  const { extraHosts, ports: _ports, publishAll: _all, ...rest } = more;
  refuseRest('config.network', mode === NetworkMode.CONTAINER ? { ...rest, container: '' } : rest);
  const given = dnsServers.length + dnsSearch.length + dnsOptions.length > 0;
  const dns = {
    ...(given ? { dns: { servers: dnsServers, search: dnsSearch, options: dnsOptions } } : {}),
    ...(extraHosts.length === 0 ? {} : { extraHosts: extraHosts.map(decodeHost) }),
  };
  switch (mode) {
    case NetworkMode.NONE:
    case NetworkMode.HOST:
    case NetworkMode.CONTAINER:
      if (attachments.length > 0)
        throw invalidArgument('cannot create container: networks are named, and the mode is another', {
          reason: 'NETWORK_CONFLICT',
          hint: 'use the mode NETWORKS, or name none',
        });
      return { network: ALONE[mode], ...dns };
    case NetworkMode.UNSPECIFIED:
    case NetworkMode.NETWORKS:
      return { network: 'networks', attachments: attachments.map(decodeAttachment), ...dns };
  }
}

const decodeHost = ({ hostname, address }: WireHost): HostEntry => ({ hostname, address });

function serverSets(field: string): MydockerError {
  return invalidArgument(`invalid config.${field}: it is set by the server`, {
    reason: 'FIELD_OF_SERVER',
    hint: 'leave it out',
    metadata: { field: `config.${field}` },
  });
}

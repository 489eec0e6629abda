/** Namespaces that a container shares: from the wire, and onto it. */
import {
  type NamespaceConfig,
  NamespaceMode,
  type NamespaceSource,
  type NetworkConfig,
  NetworkMode,
} from '../../proto/gen/mydocker/v1/config.ts';
import type { SharedNamespace, SharedNamespaces } from '../model/container.ts';
import { invalidArgument } from '../model/error.ts';
import { lacking, refuseRest } from './refuse-rest.ts';

/**
 * @returns what is not the container's own; other containers as the client names them.
 * @throws MydockerError `invalid-argument`, `unimplemented` for what this version lacks.
 */
export function decodeNamespaces(
  config: NamespaceConfig | undefined,
  network: NetworkConfig | undefined,
): SharedNamespaces {
  const { pid, ipc, uts, cgroup, user, ...rest } = config ?? {};
  refuseRest('config.namespaces', rest);
  const cgroupSource = decodeSource('cgroup', cgroup);
  if (cgroupSource?.kind === 'container')
    throw invalidArgument('invalid config.namespaces.cgroup: it is not shared with a container', {
      reason: 'NAMESPACE_CONFLICT',
      hint: 'use HOST, or leave it out',
    });
  if (user !== undefined && user.mode !== NamespaceMode.HOST && user.mode !== NamespaceMode.UNSPECIFIED)
    throw lacking('config.namespaces.user', 'leave it out; a later version of mydocker has it');
  const utsSource = decodeSource('uts', uts);
  if (utsSource?.kind === 'container')
    throw invalidArgument('invalid config.namespaces.uts: a host name is not shared with a container', {
      reason: 'NAMESPACE_CONFLICT',
      hint: 'use HOST, or leave it out',
    });
  const net =
    network?.mode === NetworkMode.CONTAINER
      ? ({ kind: 'container', container: network.container } as const)
      : undefined;
  return withoutAbsent({
    pid: decodeSource('pid', pid),
    ipc: decodeSource('ipc', ipc),
    uts: utsSource,
    cgroup: cgroupSource,
    network: net,
  });
}

type Maybe = { readonly [K in keyof SharedNamespaces]: SharedNamespaces[K] | undefined };

const withoutAbsent = (all: Maybe): SharedNamespaces =>
  Object.fromEntries(Object.entries(all).filter(([, shared]) => shared !== undefined));

function decodeSource(kind: string, source: NamespaceSource | undefined): SharedNamespace | undefined {
  if (source === undefined) return undefined;
  const { mode, container } = source;
  if (mode === NamespaceMode.CONTAINER) return { kind: 'container', container };
  if (container !== '')
    throw invalidArgument(
      `invalid config.namespaces.${kind}: a container is named, and the mode is another`,
      {
        reason: 'NAMESPACE_CONFLICT',
        hint: 'use the mode CONTAINER, or name none',
      },
    );
  return mode === NamespaceMode.HOST ? { kind: 'host' } : undefined;
}

/** Undefined where all are the container's own. */
export function encodeNamespaces({
  pid,
  ipc,
  uts,
  cgroup,
}: SharedNamespaces = {}): NamespaceConfig | undefined {
  if ([pid, ipc, uts, cgroup].every((shared) => shared === undefined)) return undefined;
  return {
    pid: encodeSource(pid),
    ipc: encodeSource(ipc),
    uts: encodeSource(uts),
    cgroup: encodeSource(cgroup),
    user: undefined,
    uidRanges: [],
    gidRanges: [],
  };
}

function encodeSource(shared: SharedNamespace | undefined): NamespaceSource | undefined {
  if (shared === undefined) return undefined;
  return shared.kind === 'host'
    ? { mode: NamespaceMode.HOST, container: '' }
    : { mode: NamespaceMode.CONTAINER, container: shared.container };
}

/**
 * Namespaces that a container shares with the host or with another container. Another one's are joined by a
 * descriptor of its first process, which is opened by pid and start time together: whoever has that pid later is
 * somebody else.
 */
import { closeSync } from 'node:fs';
import { hostname } from 'node:os';
import type { ContainerConfig, ContainerRecord, SharedNamespaces } from '../model/container.ts';
import { cannot, invalidArgument } from '../model/error.ts';
import type { Slot } from '../model/plan.ts';
import type { Join, JoinedKind, Joins } from '../spec/join-plan.ts';
import { openProcess } from '../task/held-process.ts';
import type { ContainerOptions } from './container-options.ts';
import type { Engine } from './engine.ts';
import { findContainer } from './find-container.ts';

/**
 * The namespaces of a container to be, other containers by their ids: those that exist before it, so nobody waits for
 * himself.
 * @throws MydockerError `not-found`; `invalid-argument` for what cannot go together.
 */
export function findShared(
  engine: Pick<Engine, 'store'>,
  options: Pick<
    ContainerOptions,
    'namespaces' | 'hostname' | 'dns' | 'extraHosts' | 'network' | 'shmSizeBytes'
  >,
): SharedNamespaces {
  const { namespaces = {} } = options;
  const given = options.hostname !== undefined && options.hostname !== '';
  if (namespaces.uts !== undefined && given)
    throw conflict('a host name and the UTS namespace of the host', 'leave one of the two out');
  if (namespaces.ipc !== undefined && options.shmSizeBytes !== undefined)
    throw conflict('a size of /dev/shm and a shared IPC namespace', 'the size is whose namespace it is');
  if (
    namespaces.network !== undefined &&
    (given || options.dns !== undefined || options.extraHosts !== undefined)
  )
    throw conflict(
      'a host name, name servers or hosts and the network of another container',
      'they are the other container’s: give them to that one',
    );
  return Object.fromEntries(
    Object.entries(namespaces).map(([kind, shared]) => [
      kind,
      shared.kind === 'host' ? shared : { ...shared, container: findContainer(engine, shared.container).id },
    ]),
  );
}

const conflict = (what: string, hint: string): Error =>
  invalidArgument(`cannot create container: ${what} exclude each other`, {
    reason: 'NAMESPACE_CONFLICT',
    hint,
  });

/** The host's name where that is what its addresses resolve to; undefined where it has a name of its own. */
export function usualHostname(
  engine: Pick<Engine, 'store'>,
  { network }: Pick<ContainerOptions, 'network'>,
  namespaces: SharedNamespaces,
): string | undefined {
  if (network === 'host' || namespaces.uts !== undefined) return hostname();
  const owner = namespaces.network;
  return owner?.kind === 'container'
    ? engine.store.containers.get(owner.container)?.config.hostname
    : undefined;
}

/** Whose network a container is in: itself, or the other one, or whom that one shares it with. */
export function networkOwner<C extends { readonly config: ContainerConfig }>(
  engine: Pick<Engine, 'store'>,
  container: C,
): C | ContainerRecord {
  let owner: C | ContainerRecord = container;
  for (;;) {
    const shared: SharedNamespaces['network'] = owner.config.namespaces?.network;
    const next: ContainerRecord | undefined =
      shared?.kind === 'container' ? engine.store.containers.get(shared.container) : undefined;
    if (next === undefined) return owner;
    owner = next;
  }
}

/** Descriptors of other containers' processes, to be handed over with a launch. */
export interface Opened extends Disposable {
  readonly descriptors: readonly number[];
  readonly joins: Joins;
}

const NOTHING: Opened = { descriptors: [], joins: {}, [Symbol.dispose]: () => undefined };

/**
 * @param first - slot that the first descriptor will have.
 * @throws MydockerError `failed-precondition` for a container that is gone or does not run.
 */
export function openShared(
  engine: Engine,
  { config, name = 'of this configuration' }: { readonly config: ContainerConfig; readonly name?: string },
  first: Slot,
): Opened {
  if (config.namespaces === undefined) return NOTHING;
  const descriptors: number[] = [];
  const joins: { [K in JoinedKind]?: Join } = {};
  const close = (): void => {
    for (const fd of descriptors) closeSync(fd);
  };
  try {
    for (const kind of ['pid', 'ipc', 'network'] as const) {
      const shared = config.namespaces[kind];
      if (shared?.kind !== 'container') continue;
      const fd = openInit(engine, name, kind, shared.container);
      joins[kind] = {
        slot: first + descriptors.length,
        container: engine.store.containers.get(shared.container)?.name ?? shared.container,
      };
      descriptors.push(fd);
    }
  } catch (error) {
    close();
    throw error;
  }
  return { descriptors, joins, [Symbol.dispose]: close };
}

const SHARED_WORDS: Readonly<Record<JoinedKind, string>> = {
  pid: 'process ids',
  ipc: 'IPC namespace',
  network: 'network',
};

function openInit(engine: Engine, name: string, kind: JoinedKind, id: string): number {
  const other = engine.store.containers.get(id);
  const created = engine.runs.initOf(id)?.created;
  const fd = created === undefined ? undefined : openProcess(created.pid, created.pidStartTime);
  if (fd !== undefined) return fd;
  const whose = `container ${other?.name ?? id.slice(0, 12)}, whose ${SHARED_WORDS[kind]} it shares,`;
  throw cannot(
    'failed-precondition',
    'start',
    'container',
    name,
    other === undefined ? `${whose} was removed` : `${whose} does not run`,
    {
      reason: 'SHARED_CONTAINER_NOT_RUNNING',
      hint:
        other === undefined ? 'make the container again, with another one' : `mydocker start ${other.name}`,
      exitStatus: 125,
      metadata: { container: id },
    },
  );
}

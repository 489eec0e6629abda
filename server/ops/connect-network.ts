/**
 * A container enters and leaves networks, whether it runs or not. Its record is written before an interface is made
 * and after one is taken away: so no interface and no address is ever without a record that names it, and a restarted
 * server makes what is missing.
 */
import { closeSync } from 'node:fs';
import { failpoint } from '../failpoint.ts';
import type { ContainerRecord } from '../model/container.ts';
import { cannot, invalidArgument, type MydockerError } from '../model/error.ts';
import { type Attachment, type Endpoint, hostInterface, MAX_ENDPOINTS } from '../model/network.ts';
import type { Op } from '../model/plan.ts';
import { isAlive } from '../model/task-state.ts';
import { indexOf } from '../network/host-state.ts';
import { plugIn, unplug } from '../network/live-plan.ts';
import { openProcess } from '../task/held-process.ts';
import { tellNetwork } from './container-event.ts';
import { type PlaceView, placesOf } from './container-networks.ts';
import { plugsOf, takePlace } from './container-places.ts';
import { defaultNetworkId, findNetwork } from './default-network.ts';
import type { Engine } from './engine.ts';
import { expectRev, findContainer } from './find-container.ts';
import { rewriteHosts } from './hosts-file.ts';
import { runNetworkOps } from './prepare-network.ts';
import { holdPlaces, leadPorts } from './publish-ports.ts';

export interface ConnectRequest {
  /** Id, name or unique prefix. */
  readonly container: string;
  readonly attachment: Attachment;
  /** Refused unless the container has this rev; 0n: whatever. */
  readonly expectedRev: bigint;
}

/**
 * Puts a container into a further network, one that runs at once.
 * @throws MydockerError `not-found`; `already-exists` where it stands there or the address is in use;
 * `failed-precondition` for one without networks of its own.
 */
export function connectNetwork(engine: Engine, request: ConnectRequest): Promise<PlaceView> {
  const { id } = findContainer(engine, request.container);
  return engine.queues.run('container', id, async () => {
    const before = findContainer(engine, id);
    expectRev('connect', before, request.expectedRev);
    refuseShared(before);
    const network = await findNetwork(engine, request.attachment.network);
    const { endpoints = [] } = before;
    if (endpoints.length >= MAX_ENDPOINTS)
      throw invalidArgument(
        `cannot connect container ${before.name}: it stands in ${MAX_ENDPOINTS} networks`,
        {
          reason: 'CONFIG_INVALID',
        },
      );
    using place = takePlace(engine, network, request.attachment, endpoints);
    const { endpoint } = place;
    const change = { verb: 'connect', networkId: network.id, name: network.name } as const;
    const record = await engine.store.containers.update(id, (now) => ({
      ...now,
      endpoints: [...(now.endpoints ?? []), endpoint],
    }));
    await failpoint('connect.put');
    try {
      holdPlaces(engine, record);
      await plug(engine, record, endpoint);
    } catch (thrown) {
      await undoConnect(engine, record, endpoint);
      throw thrown;
    }
    await failpoint('connect.plugged');
    leadPorts(engine, record);
    tellNetwork(engine, record, change);
    return viewIn(engine, record, network.id);
  });
}

function refuseShared({ name, config: { network } }: ContainerRecord): void {
  if (network === 'networks') return;
  throw cannot('failed-precondition', 'connect', 'container', name, `its network is ${network}`, {
    reason: 'NETWORK_CONFLICT',
    hint: 'only a container with networks of its own can enter another one',
  });
}

function viewIn(engine: Engine, record: ContainerRecord, networkId: string): PlaceView {
  const view = placesOf(engine, record).find((place) => place.networkId === networkId);
  if (view === undefined) throw cannot('not-found', 'find', 'network', networkId, 'no such network');
  return view;
}

/** As it was before. */
async function undoConnect(engine: Engine, record: ContainerRecord, endpoint: Endpoint): Promise<void> {
  try {
    await unplugFrom(engine, record, endpoint);
  } catch (err) {
    engine.log.warn(
      { err, container: record.id },
      'an interface that was not wanted in the end may be there',
    );
  }
  holdPlaces(engine, await forgetPlace(engine, record.id, endpoint.networkId));
}

const forgetPlace = (engine: Engine, id: string, networkId: string): Promise<ContainerRecord> =>
  engine.store.containers.update(id, (now) => ({
    ...now,
    endpoints: (now.endpoints ?? []).filter((other) => other.networkId !== networkId),
  }));

/** Runs operations with the container's first process; @returns false where there is none any more. */
async function withInit(engine: Engine, { id }: ContainerRecord, ops: readonly Op[]): Promise<boolean> {
  const live = engine.runs.initOf(id)?.created;
  const pidfd = live === undefined ? undefined : openProcess(live.pid, live.pidStartTime);
  if (pidfd === undefined) return false;
  try {
    await runNetworkOps(engine, ops, [pidfd]);
    return true;
  } catch (thrown) {
    // It ended meanwhile, and everything with it.
    const now = live === undefined ? undefined : openProcess(live.pid, live.pidStartTime);
    if (now === undefined) return false;
    closeSync(now);
    throw thrown;
  } finally {
    closeSync(pidfd);
  }
}

/**
 * The interface of a place, where the container runs.
 * @throws MydockerError naming the operation that failed.
 */
export async function plug(engine: Engine, record: ContainerRecord, endpoint: Endpoint): Promise<void> {
  if (!isAlive(record.status) || record.run === undefined) return;
  const plugs = plugsOf(engine, record.endpoints ?? [], record.run.runId);
  const own = plugs.find(({ network }) => network.id === endpoint.networkId);
  if (own === undefined) return;
  await engine.networks.prepare(own.network);
  try {
    const networks = plugs.map(({ network }) => network);
    await withInit(engine, record, [...plugIn(own, networks), ...rewriteHosts(engine, record)]);
  } catch (thrown) {
    throw liveError('connect', record, thrown);
  }
}

async function unplugFrom(engine: Engine, record: ContainerRecord, endpoint: Endpoint): Promise<void> {
  const { run, status, endpoints = [] } = record;
  if (!isAlive(status) || run === undefined) return;
  const rest = endpoints.filter(({ networkId }) => networkId !== endpoint.networkId);
  const networks = plugsOf(engine, rest, run.runId).map(({ network }) => network);
  const after = rewriteHosts(engine, { ...record, endpoints: rest });
  await withInit(engine, record, [...unplug(hostInterface(run.runId, endpoint), networks), ...after]);
}

function liveError(verb: string, { name }: ContainerRecord, thrown: unknown): MydockerError {
  const words =
    thrown instanceof Error ? thrown.message.replace(/^cannot start container: /, '') : String(thrown);
  return cannot('failed-precondition', verb, 'container', name, words, {
    reason: 'NETWORK_UNAVAILABLE',
    cause: thrown,
  });
}

export interface DisconnectRequest {
  readonly container: string;
  /** Network: id, name or unique prefix. */
  readonly network: string;
  /** Its interface may stay where it cannot be reached. */
  readonly force: boolean;
  readonly expectedRev: bigint;
}

/**
 * Takes a container out of a network, one that runs at once.
 * @throws MydockerError `not-found` for a network that it does not stand in.
 */
export function disconnectNetwork(
  engine: Engine,
  request: DisconnectRequest,
): Promise<{ readonly networkId: string; readonly containerId: string }> {
  const { id } = findContainer(engine, request.container);
  return engine.queues.run('container', id, async () => {
    const record = findContainer(engine, id);
    expectRev('disconnect', record, request.expectedRev);
    const endpoint = await placeIn(engine, record, request);
    const { networkId } = endpoint;
    try {
      await unplugFrom(engine, record, endpoint);
    } catch (thrown) {
      if (!request.force) throw liveError('disconnect', record, thrown);
    }
    await failpoint('disconnect.unplugged');
    leadPorts(engine, await forgetPlace(engine, id, networkId));
    await failpoint('disconnect.put');
    const name = engine.store.networks.get(networkId)?.name ?? networkId;
    tellNetwork(engine, record, { verb: 'disconnect', networkId, name });
    return { networkId, containerId: id };
  });
}

/** Also of a network whose record was lost, by its id. */
async function placeIn(
  engine: Engine,
  { endpoints = [], name }: ContainerRecord,
  { network: text }: DisconnectRequest,
): Promise<Endpoint> {
  const lost = endpoints.find(
    ({ networkId }) =>
      text.length > 5 && networkId.startsWith(text) && engine.store.networks.get(networkId) === undefined,
  );
  if (lost !== undefined) return lost;
  const { id, name: network } = await findNetwork(engine, text);
  const endpoint = endpoints.find(({ networkId }) => networkId === id);
  if (endpoint !== undefined) return endpoint;
  throw cannot('not-found', 'disconnect', 'container', name, `it does not stand in network ${network}`, {
    reason: 'NOT_CONNECTED',
  });
}

/**
 * Makes interfaces that a record names and a running container lacks: an earlier server died while it made or took
 * one away. Run once, when the containers that run are known.
 */
export async function recoverNetworks(engine: Engine): Promise<void> {
  for (const record of engine.store.containers.list()) {
    const { run, endpoints = [], status } = record;
    if (!isAlive(status) || run === undefined || engine.runs.initOf(record.id) === undefined) continue;
    await answerAgain(engine, record);
    for (const endpoint of endpoints) {
      if (indexOf(hostInterface(run.runId, endpoint)) !== 0) continue;
      await plug(engine, record, endpoint).catch((err: unknown) =>
        engine.log.error({ err, container: record.id }, 'an interface of a container is missing'),
      );
    }
  }
}

/** Nobody answered for names while there was no server. */
async function answerAgain(engine: Engine, record: ContainerRecord): Promise<void> {
  for (const { networkId } of record.endpoints ?? []) {
    const network = engine.store.networks.get(networkId);
    if (network === undefined || networkId === defaultNetworkId(engine)) continue;
    await engine.networks
      .prepare(network)
      ?.catch((err: unknown) =>
        engine.log.error({ err, network: network.name }, 'a network is not as it should be'),
      );
  }
}

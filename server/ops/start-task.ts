/**
 * How a container starts: the page to read first. Each step is undone when a later one fails, and whatever
 * dies in between (this server, the shim, the process), nothing unknown is left.
 */
import { posix } from 'node:path';
import { openRealTime } from '../cgroup/apply-limits.ts';
import { cgroupFolders } from '../cgroup/layout.ts';
import { failpoint } from '../failpoint.ts';
import type { ContainerRecord, Exit, Run } from '../model/container.ts';
import { cancelled, cannot, type MydockerError, toMydockerError } from '../model/error.ts';
import { newRunId } from '../model/ids.ts';
import { transition } from '../model/task-state.ts';
import { nowNs } from '../model/time.ts';
import { encodePlan } from '../spec/plan-codec.ts';
import type { TerminalSize } from '../spec/process-plan.ts';
import type { LiveRun } from '../task/runs.ts';
import type { ShimConnection } from '../task/shim-connection.ts';
import { containerEvent, tellNetworks } from './container-event.ts';
import { completeRootfs, makeFolders } from './container-folders.ts';
import { prepareNetworks, takePlaces } from './container-places.ts';
import { keeperFor, openScope } from './container-scope.ts';
import { volumeNames } from './container-volumes.ts';
import { cgroupPathOf, containerFolder, type Engine } from './engine.ts';
import { fillVolumes } from './fill-volumes.ts';
import { findContainer } from './find-container.ts';
import { type Ending, failedExit, superviseRun } from './finish-run.ts';
import { holdNamespaces } from './held-namespaces.ts';
import { hostMounts } from './host-mounts.ts';
import { isGroupLost, launchError } from './launch-error.ts';
import { present } from './merge-mounts.ts';
import { makeSources } from './mount-sources.ts';
import { openGate } from './open-gate.ts';
import { type Held, type PreparedLaunch, prepareLaunch } from './prepare-launch.ts';
import { leadPorts, reservePorts } from './publish-ports.ts';
import { type Addresses, lookUpServers } from './server-addresses.ts';
import { undoStart } from './undo-start.ts';
import { tellVolumes } from './volume-event.ts';
import { volumesFolder } from './volume-folders.ts';

export interface StartRequest {
  /** Id, name or unique prefix. */
  readonly container: string;
  /** Size of the client's terminal; absent: the kernel's 0 by 0. */
  readonly terminalSize?: TerminalSize;
  /** The client gave up: a start that is not over is undone. */
  readonly signal?: AbortSignal;
}

/**
 * Makes the namespaces and stops at the start gate.
 * @throws MydockerError as startTask.
 */
export function createTask(engine: Engine, request: StartRequest): Promise<ContainerRecord> {
  const { id } = findContainer(engine, request.container);
  return engine.queues.run('container', id, () => launch(engine, id, request, false));
}

/**
 * Starts a container, or opens the gate of one that waits there.
 * @returns the record; its run has the pid.
 * @throws MydockerError `failed-precondition` when it runs already and for each step of the plan that failed
 * (exitStatus 126, 127, 125), `not-found`, `cancelled`.
 */
export function startTask(engine: Engine, request: StartRequest): Promise<ContainerRecord> {
  const { id } = findContainer(engine, request.container);
  return engine.queues.run('container', id, async () => {
    const waiting = engine.runs.initOf(id);
    const record = engine.store.containers.get(id);
    return record?.status === 'starting' && waiting !== undefined
      ? openGate(engine, record, waiting)
      : launch(engine, id, request, true);
  });
}

/**
 * A start whose groups somebody swept away while they were empty is made again, once.
 * @param open - whether the process may begin, or waits at the gate.
 */
async function launch(
  engine: Engine,
  id: string,
  request: StartRequest,
  open: boolean,
): Promise<ContainerRecord> {
  const swept: Ending[] = [];
  try {
    for (;;) {
      const record = await attempt(engine, id, request, open, swept);
      if (record !== undefined) return record;
    }
  } catch (error) {
    for (const { end } of swept) end(failedExit(toMydockerError(error)));
    throw error;
  }
}

/**
 * @param swept - runs that came to nothing for that reason; whoever waits for one waits for this one.
 * @returns undefined for another one, which was put there.
 */
async function attempt(
  engine: Engine,
  id: string,
  request: StartRequest,
  open: boolean,
  swept: Ending[],
): Promise<ContainerRecord | undefined> {
  await failpoint('start.begin');
  using _start = engine.launchers.starting();
  engine.cgroups.warmJoins();
  // 1. The state allows it.
  const before = findContainer(engine, id);
  transition(before.status, 'start', before.name);
  // 2. Everything is decided before anything of the container is touched.
  const runId = newRunId();
  using places = await takePlaces(engine, before);
  const placed = places.endpoints === undefined ? before : { ...before, endpoints: places.endpoints };
  // Who answers for names in its networks is known once they are there.
  await prepareNetworks(engine, placed);
  // Where systemd makes the groups, who keeps its unit; and namespaces that are there before its own.
  using keeper = await keeperFor(engine);
  using namespaces = await holdNamespaces(engine, before);
  const addresses = await lookUpServers(engine, before);
  const size = request.terminalSize ?? { rows: 0, columns: 0 };
  using prepared = decide(engine, placed, runId, size, { ahead: true, keeper, namespaces, addresses });
  await failpoint('start.plan');
  // 3. What must exist on the host: the parent of the groups, sources of mounts, what is copied once.
  using _parent = engine.cgroups.hold(before.config.cgroupParent);
  await openScope(engine, before, keeper);
  prepareHost(engine, before);
  using _volumes = await engine.heldVolumes.hold(volumeNames(before.config));
  await copyOnce(engine, before, addresses, request.signal);
  using ports = await reservePorts(engine, placed);
  await failpoint('start.launch');
  if (request.signal?.aborted) throw cancelledStart(before);
  // 4. The shim works already while the intent is written down. Until that is durable nothing of the user's runs.
  const launcher = prepared.launcher ?? engine.zygote;
  const connection = launcher.launch(encodePlan(prepared.plan), prepared.descriptors);
  const run: Run = {
    runId,
    bootId: engine.bootId,
    pid: 0,
    pidStartTime: 0n,
    startedAt: nowNs(),
    cgroupPath: prepared.cgroupPath,
    ...present('ports', ports.ports),
    ...present('memory', prepared.memory),
  };
  const intent = { ...placed, status: 'starting', run } as const;
  const written = engine.store.containers.put(intent);
  written.catch(() => undefined);
  const live = newRun(before, runId, prepared, connection);
  engine.runs.add(live);
  for (const { end } of swept) void live.ended.then(end);
  const giveUp = (): void => void live.connection.giveUp();
  request.signal?.addEventListener('abort', giveUp);
  try {
    ports.keep();
    leadPorts(engine, intent);
    await failpoint('start.launched');
    const starting = await written;
    await failpoint('start.put-starting');
    // 5. From here the shim outlives this server, and opens the gate as soon as its child is there.
    live.connection.commit(open);
    await failpoint('start.commit');
    // 6. The process exists: in its cgroup and namespaces, everything mounted, at the gate.
    live.created = await live.connection.created;
    tellNetworks(engine, starting, 'connect');
    tellVolumes(engine, starting, 'mount');
    await failpoint('start.created');
    // 7. The user's program runs.
    if (open) await live.connection.started;
    await failpoint('start.started');
    // 8. What is known of it is recorded; after a crash it would be found again from the intent.
    const record = await note(engine, starting, live, open ? 'running' : 'starting');
    await failpoint('start.put-running');
    void superviseRun(engine, live);
    engine.launchers.started();
    return record;
  } catch (thrown) {
    const error = request.signal?.aborted
      ? cancelledStart(before)
      : launchError('start', before.name, prepared.plan, thrown);
    const again =
      swept.length === 0 &&
      isGroupLost(cgroupFolders(engine.cgroups.layout, prepared.cgroupPath), prepared.plan, thrown);
    await undoStart(engine, before, live, written, again ? undefined : failedExit(error));
    if (!again) throw error;
    swept.push(live);
    return undefined;
  } finally {
    request.signal?.removeEventListener('abort', giveUp);
  }
}

/** Only the first start has something to copy, and may be given up or ended meanwhile. */
async function copyOnce(
  engine: Engine,
  record: ContainerRecord,
  addresses: Addresses,
  signal?: AbortSignal,
): Promise<void> {
  try {
    await engine.firstCopies.run(record.id, record.name, signal, async (given) => {
      await completeRootfs(engine, record, given);
      await fillVolumes(engine, record, addresses, given);
    });
  } catch (error) {
    throw signal?.aborted ? cancelledStart(record) : error;
  }
}

const cancelledStart = ({ name }: ContainerRecord): MydockerError =>
  cancelled(`cannot start container ${name}: the request was cancelled`);

function decide(
  engine: Engine,
  record: ContainerRecord,
  runId: string,
  size: TerminalSize,
  held: Held,
): PreparedLaunch {
  try {
    return prepareLaunch(engine, record, runId, size, held);
  } catch (thrown) {
    throw thrown instanceof RangeError
      ? cannot('invalid-argument', 'start', 'container', record.name, thrown.message, { exitStatus: 125 })
      : thrown;
  }
}

function prepareHost(engine: Engine, record: ContainerRecord): void {
  const { layout, prepare } = engine.cgroups;
  const above = posix.dirname(cgroupPathOf(engine, record));
  prepare(above);
  openRealTime(layout, above, record.config.resources);
  makeFolders(engine, containerFolder(engine.paths, record.id), record);
  makeSources(record.name, hostMounts(engine, record.config).mounts, volumesFolder(engine.paths));
}

/** From now on kill, stop and wait find the run. */
function newRun(
  record: ContainerRecord,
  runId: string,
  prepared: PreparedLaunch,
  connection: ShimConnection,
): LiveRun & Ending {
  const { promise, resolve } = Promise.withResolvers<Exit>();
  return {
    containerId: record.id,
    runId,
    kind: 'init',
    folder: prepared.runFolder,
    connection,
    logFrom: prepared.logFrom,
    terminal: record.config.terminal,
    plan: prepared.plan,
    ended: promise,
    end: resolve,
  };
}

/** The record of a process that exists. Nobody waits for it: the intent is durable, and leads back here. */
function note(
  engine: Engine,
  starting: ContainerRecord,
  live: LiveRun,
  status: 'starting' | 'running',
): Promise<ContainerRecord> {
  const { pid = 0, pidStartTime = 0n } = live.created ?? {};
  const run = { ...(starting.run as Run), pid, pidStartTime };
  const details = { runId: live.runId, attributes: { pid: String(pid) } };
  const event = containerEvent(starting, status === 'running' ? 'start' : 'task-create', details);
  return engine.store.containers.put({ ...starting, status, run }, { sync: 'behind', event });
}

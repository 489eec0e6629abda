/**
 * What a new server makes of what it finds: the truth is the exit record, then a live shim, then nothing. Runs
 * that are known go on, ends that nobody saw are recorded, and what no record names is removed.
 */
import { readdirSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { cgroupsBelow, reapCgroup } from '../cgroup/reap.ts';
import { failpoint } from '../failpoint.ts';
import type { ContainerRecord, Exit } from '../model/container.ts';
import { SIGKILL } from '../model/signal.ts';
import { isAlive } from '../model/task-state.ts';
import { nowNs } from '../model/time.ts';
import { ownSlice, scopeOwner } from '../model/unit.ts';
import { shimTitle } from '../spec/launch-plan.ts';
import { signalProcess } from '../task/held-process.ts';
import { hasExitFile, readStateFile, type StateFile } from '../task/run-files.ts';
import type { LiveRun } from '../task/runs.ts';
import { type Created, ShimConnection } from '../task/shim-connection.ts';
import { connectInFolder } from '../task/shim-sockets.ts';
import { findStrays, type Stray } from '../task/strays.ts';
import { cgroupPathOf, type Engine, launcherTitle, runFolder, shimsFolder, zygoteTitle } from './engine.ts';
import { superviseExec } from './exec-task.ts';
import { type Ending, exitOf, lostExit, recordExit, removeIfAsked, superviseRun } from './finish-run.ts';
import { keepTrying } from './keep-trying.ts';
import { noteBegun } from './open-gate.ts';
import { settleFrozen } from './pause-task.ts';
import { settleUpdate } from './update-container.ts';

/** How long a shim may take to introduce itself; one that is stopped does not, until it goes on. */
const HELLO_DEADLINE_MS = 1000;
const STARTED_GRACE_MS = 50;
/** How long a start may take that began under an earlier server. */
const START_GRACE_MS = 1000;
const LOOK_EVERY_MS = 20;
const RUN_ID_CHARS = 16;
/** Status that Docker shows for containers that a reboot ended. */
const REBOOT_EXIT_STATUS = 255;

const rebootExit = (): Exit => ({
  exitStatus: REBOOT_EXIT_STATUS,
  signal: 0,
  oomKilled: false,
  exitedAt: nowNs(),
  reason: 'reboot',
  message: 'the machine was restarted',
});

/** A live shim and its process. */
interface Found {
  readonly connection: ShimConnection;
  readonly created: Created;
  readonly state: StateFile;
}

const createdOf = ({ pid, pidStartTime, shimPid, shimStartTime }: StateFile): Created => ({
  pid,
  pidStartTime,
  shimPid,
  shimStartTime,
});

/** @returns undefined also for a file that a disk has damaged: it leads to no shim. */
function stateOf(folder: string): StateFile | undefined {
  try {
    return readStateFile(folder);
  } catch {
    return undefined;
  }
}

/** @returns undefined when no shim listens there. */
async function findShim(folder: string): Promise<Found | undefined> {
  const state = stateOf(folder);
  if (state === undefined) return undefined;
  let connection: ShimConnection | undefined;
  try {
    connection = new ShimConnection(await connectInFolder(folder, 'control'), true);
    const created = await Promise.race([connection.created, sleep(HELLO_DEADLINE_MS)]);
    // It listens, so it is there: stopped by somebody, or the machine is slow. Its container is not to blame.
    return { connection, created: created ?? createdOf(state), state };
  } catch {
    connection?.close();
    return undefined;
  }
}

function adopt(engine: Engine, record: ContainerRecord, runId: string, found: Found): LiveRun {
  const { promise, resolve } = Promise.withResolvers<Exit>();
  const run: LiveRun & Ending = {
    containerId: record.id,
    runId,
    kind: 'init',
    folder: runFolder(engine.paths, runId),
    connection: found.connection,
    created: found.created,
    logFrom: { serial: found.state.head.logSerial, offset: found.state.head.logOffset },
    terminal: record.config.terminal,
    ended: promise,
    end: resolve,
  };
  engine.runs.add(run);
  void superviseRun(engine, run);
  return run;
}

/** The intent was recorded, the process may or may not have begun: it may still be at the gate. */
async function settleStarting(engine: Engine, live: LiveRun): Promise<void> {
  const { containerId: container, connection } = live;
  const begun = connection.started.then(() => noteBegun(engine, live));
  const noted = begun.catch((err: unknown) => {
    engine.log.debug({ err, container }, 'a start that was found half way did not come to its end');
  });
  // A shim that is past the gate says `started` right behind `created`; nobody waits for one that is not.
  await Promise.race([noted, sleep(STARTED_GRACE_MS, undefined, { ref: false })]);
}

/**
 * A start that its server did not live to see is still under way: soon it is at its gate, over, or, without a
 * commit, undone. One that gets nowhere is ended.
 */
async function settleShim(folder: string): Promise<void> {
  for (let waitedMs = 0; stateOf(folder) === undefined && !hasExitFile(folder); waitedMs += LOOK_EVERY_MS) {
    const shims = findStrays(shimTitle(folder));
    if (shims.length === 0 || waitedMs > 3 * START_GRACE_MS) return;
    if (waitedMs >= START_GRACE_MS) for (const shim of shims) endStray(shim);
    await sleep(LOOK_EVERY_MS);
  }
}

const endStray = ({ pid, startTime }: Stray): void => signalProcess(pid, startTime, SIGKILL);

/** Back to before the start: its shim was not committed and has taken everything with it. */
async function forgetStart(engine: Engine, record: ContainerRecord): Promise<void> {
  await reapCgroup(engine.cgroups.layout, record.run?.cgroupPath ?? cgroupPathOf(engine, record));
  await engine.store.containers.update(record.id, (r) => {
    const { run: _, ...rest } = r;
    return { ...rest, status: r.exit === undefined ? 'created' : 'stopped' };
  });
}

async function recoverContainer(engine: Engine, record: ContainerRecord): Promise<void> {
  await failpoint('recover.container');
  const { run } = record;
  if (run === undefined) return;
  const folder = runFolder(engine.paths, run.runId);
  const end = async (exit: Exit): Promise<void> => {
    await recordExit(engine, record.id, run.runId, folder, exit);
    void removeIfAsked(engine, record.id);
  };
  if (run.bootId !== engine.bootId) return end(rebootExit());
  if (record.status === 'starting') await settleShim(folder);
  if (hasExitFile(folder)) return end(exitOf(folder, undefined));
  const found = await findShim(folder);
  if (found !== undefined) {
    const live = adopt(engine, record, run.runId, found);
    if (record.status === 'starting') await settleStarting(engine, live);
    else await settleFrozen(engine, record);
    await settleUpdate(engine, record);
    return;
  }
  // It may have ended between the two looks.
  if (hasExitFile(folder)) return end(exitOf(folder, undefined));
  const state = stateOf(folder);
  if (record.status === 'starting' && state === undefined) return forgetStart(engine, record);
  // It does not answer: it is dead, or as good as dead.
  if (state !== undefined) signalProcess(state.shimPid, state.shimStartTime, SIGKILL);
  return end(lostExit());
}

/** An additional process of an earlier server goes on when its container does. */
async function recoverFolder(engine: Engine, runId: string): Promise<void> {
  const folder = runFolder(engine.paths, runId);
  await settleShim(folder);
  const found = await findShim(folder);
  const state = found === undefined ? stateOf(folder) : undefined;
  if (state?.head.bootId === engine.bootId) signalProcess(state.shimPid, state.shimStartTime, SIGKILL);
  const init = found === undefined ? undefined : engine.runs.initOf(found.state.head.containerId);
  if (found === undefined || init === undefined || found.state.head.kind !== 'exec') {
    await found?.connection.giveUp();
    rmSync(folder, { recursive: true, force: true });
    return;
  }
  const live: LiveRun = {
    containerId: init.containerId,
    runId,
    kind: 'exec',
    folder,
    connection: found.connection,
    created: found.created,
    logFrom: { serial: 0, offset: 0 },
    terminal: found.state.head.terminal,
    ended: superviseExec(engine, found.connection, folder, () => live),
  };
  engine.runs.add(live);
}

function isUnsettled(engine: Engine, id: string): boolean {
  const record = engine.store.containers.get(id);
  return record !== undefined && isAlive(record.status) && engine.runs.initOf(id) === undefined;
}

/** Below which nobody else has groups: a slice that somebody named is shared. */
function ownParents({ cgroups, instance }: Engine): readonly string[] {
  const { parent, helpers } = cgroups;
  return [
    ...new Set([
      helpers,
      ...(cgroups.systemd === undefined || parent === ownSlice(instance) ? [parent] : []),
    ]),
  ];
}

const isLeftover = (engine: Engine, id: string, unsettled: ReadonlySet<string>): boolean =>
  engine.runs.initOf(id) === undefined && !unsettled.has(id);

/** Run once, before the server listens. */
export async function recover(engine: Engine): Promise<void> {
  await failpoint('recover.begin');
  // With launches that they have not begun; nobody waits for them any more.
  for (const title of [zygoteTitle(engine.paths), launcherTitle(engine.paths)])
    for (const stray of findStrays(title)) if (stray.title === title) endStray(stray);
  const all = engine.store.containers.list();
  const alive = all.filter((record) => isAlive(record.status));
  await Promise.all(
    alive.map((record) =>
      keepTrying(engine.log, 'recover a container', record.id, () => recoverContainer(engine, record)),
    ),
  );
  // What could not be settled yet is nobody's leftover.
  const unsettled = new Set(alive.filter(({ id }) => isUnsettled(engine, id)).map(({ id }) => id));
  const runOf = (id: string): string | undefined => engine.store.containers.get(id)?.run?.runId;
  const kept = new Set([...unsettled].map(runOf));
  await failpoint('recover.sweep');
  const unknown = readdirSync(shimsFolder(engine.paths)).filter(
    (runId) => engine.runs.get(runId) === undefined && !kept.has(runId),
  );
  await Promise.all(unknown.map((runId) => recoverFolder(engine, runId)));
  for (const stray of findStrays(shimTitle(runFolder(engine.paths, '')))) {
    const runId = stray.title.slice(-RUN_ID_CHARS);
    if (engine.runs.get(runId) === undefined && !kept.has(runId)) endStray(stray);
  }
  await Promise.all(
    ownParents(engine).flatMap((parent) =>
      cgroupsBelow(engine.cgroups.layout, parent)
        .filter((name) => isLeftover(engine, scopeOwner(name) ?? name, unsettled))
        .map((name) => reapCgroup(engine.cgroups.layout, `${parent}/${name}`)),
    ),
  );
  // Ended under an earlier server, which died before it removed them.
  for (const { id, status } of all) if (status === 'stopped') void removeIfAsked(engine, id);
}

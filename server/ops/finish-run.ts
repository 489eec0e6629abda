/**
 * What happens when a run is over, however it ended: the truth is found (exit record, else the shim's word,
 * else nothing), written down, told, and the run's folder goes.
 */
import { rmSync } from 'node:fs';
import { toldOom } from '../cgroup/cgroup-plan.ts';
import { reapCgroup } from '../cgroup/reap.ts';
import { isReserving } from '../cgroup/reservations.ts';
import { failpoint } from '../failpoint.ts';
import type { ContainerRecord, Exit } from '../model/container.ts';
import type { MydockerError } from '../model/error.ts';
import { isAlive, transition } from '../model/task-state.ts';
import { nowNs } from '../model/time.ts';
import { type ExitFile, readExitFile } from '../task/run-files.ts';
import type { LiveRun } from '../task/runs.ts';
import type { ShimConnection, ShimExit } from '../task/shim-connection.ts';
import { containerEvent, tell, tellNetworks } from './container-event.ts';
import { closeScope } from './container-scope.ts';
import type { Engine } from './engine.ts';
import { keepTrying } from './keep-trying.ts';
import { releasePorts } from './publish-ports.ts';
import { removeContainer } from './remove-container.ts';
import { tellVolumes } from './volume-event.ts';

const SIGKILL = 9;
/** How long the removal of a container with --rm waits for a reader of its output who takes nothing. */
const READER_PATIENCE_MS = 10_000;

/** The end of a run whose shim vanished without a word. */
export const lostExit = (message = 'the shim of the container is gone'): Exit => ({
  exitStatus: 128 + SIGKILL,
  signal: SIGKILL,
  oomKilled: false,
  exitedAt: nowNs(),
  reason: 'lost',
  message,
});

/** As the exit record tells it. @param oomKills - how many there had been when it was sent SIGKILL. */
const recordedExit = (file: ExitFile, oomKills = 0): Exit => ({
  exitStatus: file.exitStatus,
  signal: file.signal,
  oomKilled: file.signal === SIGKILL && toldOom(file.files, Math.max(oomKills, file.head.oomKills ?? 0)),
  exitedAt: file.exitedAt,
  reason: file.failed === undefined ? 'exited' : 'failed',
  message: file.failed === undefined ? '' : 'the process never ran',
});

/**
 * @param told - what the shim said on its connection; undefined: it is gone.
 * @param oomKills - of its group when somebody sent SIGKILL; absent: nobody did.
 */
export function exitOf(folder: string, told: ShimExit | undefined, oomKills?: number): Exit {
  try {
    const file = readExitFile(folder);
    if (file !== undefined) return recordedExit(file, oomKills);
  } catch (error) {
    // Not by us, then: the disk lost it.
    if (told === undefined) return lostExit(`the record of its end cannot be read: ${error}`);
  }
  if (told === undefined) return lostExit();
  const { exitStatus, signal, exitedAt } = told;
  return { exitStatus, signal, exitedAt, oomKilled: false, reason: 'exited', message: '' };
}

/** The record after the end of its run; unchanged when it is about another run. */
function withExit(record: ContainerRecord, runId: string, exit: Exit): ContainerRecord {
  if (record.run?.runId !== runId || !isAlive(record.status)) return record;
  return { ...record, status: transition(record.status, 'exit', record.name), exit };
}

/**
 * Records the end of a container's run and clears up after it. The run's folder, which holds the only other
 * copy of the exit status, goes last.
 */
export async function recordExit(
  engine: Engine,
  containerId: string,
  runId: string,
  folder: string,
  exit: Exit,
): Promise<void> {
  await failpoint('exit.seen');
  const record = engine.store.containers.get(containerId);
  // Before anybody is told: who starts it again at once finds them free.
  if (record?.run?.runId === runId) releasePorts(engine, containerId);
  if (exit.reason === 'lost' && record?.run !== undefined)
    // Its shim could not do it: what is left of the container dies, and its cgroup goes.
    await reapCgroup(engine.cgroups.layout, record.run.cgroupPath);
  if (record?.run !== undefined && record.run.runId === runId && isAlive(record.status))
    await closeScope(engine, record.run.cgroupPath);
  if (record?.run?.runId === runId) reserveAbove(engine, record, true);
  if (record !== undefined) {
    if (exit.oomKilled) tell(engine, containerId, 'oom', { runId });
    const attributes = { exitStatus: String(exit.exitStatus) };
    await engine.store.containers.update(containerId, (r) => withExit(r, runId, exit), {
      event: containerEvent(record, 'die', { runId, exit, attributes }),
    });
    tellNetworks(engine, record, 'disconnect');
    tellVolumes(engine, record, 'unmount');
  }
  await failpoint('exit.put');
  const parent = record?.config.cgroupParent;
  if (parent !== undefined) engine.cgroups.release(parent);
  rmSync(folder, { recursive: true, force: true });
  await failpoint('exit.cleanup');
}

/** The groups above reserve what a container does that has begun, and no more what one did that is gone. */
function reserveAbove(engine: Engine, record: ContainerRecord | undefined, isOver: boolean): void {
  if (record?.run === undefined || !isReserving(record.config.resources)) return;
  try {
    engine.cgroups.reserve(record.run.cgroupPath, isOver);
  } catch (err) {
    engine.log.warn({ err, container: record.id }, 'reserve memory above a container');
  }
}

/** Removes the folder of a run that is over; a shim that never answered may make it again, until it is gone. */
export function discardRunFolder(folder: string, connection: ShimConnection): void {
  rmSync(folder, { recursive: true, force: true });
  if (connection.silent) void connection.closed.then(() => rmSync(folder, { recursive: true, force: true }));
}

/** Ends the `ended` of a run. */
export interface Ending {
  readonly end: (exit: Exit) => void;
}

/**
 * Watches a container's run from when it is recorded (or was found again) to its end. Who waits for the end is
 * told of it also when it cannot be recorded yet; until then the run counts as alive.
 * @returns when everybody was told; never rejects.
 */
export async function superviseRun(engine: Engine, run: LiveRun & Ending): Promise<void> {
  reserveAbove(engine, engine.store.containers.get(run.containerId), false);
  const told = await run.connection.exited.catch(() => undefined);
  const { containerId, runId, folder } = run;
  const exit = exitOf(folder, told, run.oomKillsAtKill);
  const record = (): Promise<void> => recordExit(engine, containerId, runId, folder, exit);
  const removed = async (): Promise<void> => {
    run.connection.close();
    engine.runs.remove(run, exit);
    // A slow reader still needs the log, one that reads nothing may not hold it for ever.
    await engine.runs.readersDone(runId, READER_PATIENCE_MS);
    await removeIfAsked(engine, containerId);
  };
  await keepTrying(engine.log, 'record the end of a run', containerId, record, () => void removed());
  run.end(exit);
  engine.launchers.ended();
}

/** A start that failed, as the container's record keeps it. */
export const failedExit = (error: MydockerError): Exit => ({
  exitStatus: error.exitStatus ?? 125,
  signal: 0,
  oomKilled: false,
  exitedAt: nowNs(),
  reason: 'failed',
  message: error.message,
});

/** A container that asked for it goes with its process. */
export async function removeIfAsked(engine: Engine, containerId: string): Promise<void> {
  if (engine.store.containers.get(containerId)?.config.autoRemove !== true) return;
  await keepTrying(engine.log, 'remove a container that was to go by itself', containerId, async () => {
    const record = engine.store.containers.get(containerId);
    // Somebody else removed it, or started it again.
    if (record === undefined || isAlive(record.status)) return;
    await removeContainer(engine, { container: containerId, force: false });
  });
}

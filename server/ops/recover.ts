/**
 * What a new server makes of what it finds: the truth is the exit record, then a live shim, then nothing. Runs
 * that are known go on, ends that nobody saw are recorded, and what no record names is removed.
 */
import { readdirSync, rmSync } from 'node:fs';
import { cgroupsBelow, reapCgroup } from '../cgroup/reap.ts';
import { failpoint } from '../failpoint.ts';
import type { ContainerRecord, Exit } from '../model/container.ts';
import { isAlive } from '../model/task-state.ts';
import { nowNs } from '../model/time.ts';
import { readExitFile, readStateFile, type StateFile } from '../task/run-files.ts';
import type { LiveRun } from '../task/runs.ts';
import { type Created, connectInFolder, ShimConnection } from '../task/shim-connection.ts';
import { type Engine, runFolder, shimsFolder } from './engine.ts';
import { superviseExec } from './exec-task.ts';
import {
  type Ending,
  exitOf,
  lostExit,
  recordExit,
  recordedExit,
  removeIfAsked,
  superviseRun,
} from './finish-run.ts';

/** How long a shim may take to introduce itself; one that is stopped does not. */
const HELLO_DEADLINE_MS = 1000;
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

/** @returns undefined when no shim answers there. */
async function findShim(folder: string): Promise<Found | undefined> {
  let connection: ShimConnection | undefined;
  try {
    const state = readStateFile(folder);
    if (state === undefined) return undefined;
    connection = new ShimConnection(await connectInFolder(folder, 'control'));
    const timer = setTimeout(() => connection?.close(), HELLO_DEADLINE_MS);
    const created = await connection.created.finally(() => clearTimeout(timer));
    return { connection, created, state };
  } catch {
    connection?.close();
    return undefined;
  }
}

function adopt(engine: Engine, record: ContainerRecord, runId: string, found: Found): void {
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
}

/** The intent was recorded, the process may or may not have begun. */
async function settleStarting(engine: Engine, record: ContainerRecord, found: Found): Promise<void> {
  const { pid, pidStartTime } = found.created;
  // A shim that is at the gate has said `created`, one that is past it `started` right behind.
  const started = await Promise.race([
    found.connection.started.then(
      () => true,
      () => false,
    ),
    new Promise<false>((resolve) => setTimeout(resolve, 50, false)),
  ]);
  if (!started || record.run === undefined) return;
  const run = { ...record.run, pid, pidStartTime };
  await engine.store.containers.update(record.id, (r) => ({ ...r, status: 'running', run }), {
    event: {
      type: 'container.start',
      kind: 'container',
      id: record.id,
      runId: run.runId,
      attributes: { name: record.name, pid: String(pid) },
    },
  });
}

/** Back to before the start: its shim was not committed and has taken everything with it. */
async function forgetStart(engine: Engine, record: ContainerRecord): Promise<void> {
  await reapCgroup(engine.cgroups.layout, record.run?.cgroupPath ?? `${engine.cgroups.parent}/${record.id}`);
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
  const file = readExitFile(folder);
  if (file !== undefined) return end(recordedExit(file));
  const found = await findShim(folder);
  if (found !== undefined) {
    adopt(engine, record, run.runId, found);
    if (record.status === 'starting') await settleStarting(engine, record, found);
    return;
  }
  // It may have ended between the two looks.
  if (readExitFile(folder) !== undefined) return end(exitOf(folder, undefined));
  if (record.status === 'starting' && readStateFile(folder) === undefined) return forgetStart(engine, record);
  return end(lostExit());
}

/** An additional process of an earlier server goes on when its container does. */
async function recoverFolder(engine: Engine, runId: string): Promise<void> {
  const folder = runFolder(engine.paths, runId);
  const found = await findShim(folder);
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

/** Run once, before the server listens. */
export async function recover(engine: Engine): Promise<void> {
  await failpoint('recover.begin');
  const alive = engine.store.containers.list().filter((record) => isAlive(record.status));
  await Promise.all(
    alive.map((record) =>
      recoverContainer(engine, record).catch((error: unknown) => {
        engine.log.error({ err: error, container: record.id }, 'cannot recover a container');
      }),
    ),
  );
  await failpoint('recover.sweep');
  const unknown = readdirSync(shimsFolder(engine.paths)).filter(
    (runId) => engine.runs.get(runId) === undefined,
  );
  await Promise.all(unknown.map((runId) => recoverFolder(engine, runId)));
  const { layout, parent } = engine.cgroups;
  const leftover = cgroupsBelow(layout, parent).filter((id) => engine.runs.initOf(id) === undefined);
  await Promise.all(leftover.map((id) => reapCgroup(layout, `${parent}/${id}`)));
}

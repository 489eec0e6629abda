/** Signals to a running process, and the size of its terminal: they never wait for other operations. */

import { setTimeout as sleep } from 'node:timers/promises';
import { oomKills } from '../cgroup/usage.ts';
import { failpoint } from '../failpoint.ts';
import { cannot, MydockerError } from '../model/error.ts';
import { isAlive } from '../model/task-state.ts';
import { signalProcess } from '../task/held-process.ts';
import type { LiveRun } from '../task/runs.ts';
import { saysOver } from '../task/shim-error.ts';
import { REQUEST } from '../task/shim-protocol.ts';
import { tell } from './container-event.ts';
import type { Engine } from './engine.ts';
import { findContainer } from './find-container.ts';
import { thawForSignal } from './pause-task.ts';

const SIGKILL = 9;
/** How long a killed process may take before its additional processes' shims are looked at. */
const KILL_GRACE_MS = 500;
const STATUS_DEADLINE_MS = 200;

export interface TaskTarget {
  /** Id, name or unique prefix. */
  readonly container: string;
  /** Of an additional process; absent: the container's own. */
  readonly runId?: string | undefined;
}

/**
 * The live run that a request means.
 * @throws MydockerError `failed-precondition` when the container does not run, `not-found` for another run id.
 */
export function findRun(engine: Engine, verb: string, target: TaskTarget): LiveRun {
  const record = findContainer(engine, target.container);
  const { runId = '' } = target;
  const run = runId === '' ? engine.runs.initOf(record.id) : engine.runs.get(runId);
  if (run !== undefined && run.containerId === record.id) return run;
  if (runId !== '')
    throw cannot('not-found', verb, 'container', record.name, `no process with run id ${runId}`, {
      reason: 'RUN_NOT_FOUND',
    });
  if (isAlive(record.status))
    throw cannot('unavailable', verb, 'container', record.name, 'its shim was not found yet', {
      reason: 'SHIM_NOT_RESPONDING',
      hint: 'try again; the log of the server says more',
    });
  throw cannot('failed-precondition', verb, 'container', record.name, `it is ${record.status}, not running`, {
    reason: 'CONTAINER_NOT_RUNNING',
    metadata: { status: record.status },
    hint: 'start it first',
  });
}

/** A signal is about to be sent to a container's process. */
export function tellSignal(engine: Engine, { containerId, runId }: LiveRun, signal: number): void {
  tell(engine, containerId, 'kill', { runId, attributes: { signal: String(signal) } });
}

/**
 * A signal that ends a container goes through to one that is paused, which goes on then; any other waits until somebody
 * lets it go on.
 * @throws as {@link signalRun}.
 */
export async function sendSignal(engine: Engine, run: LiveRun, signal: number): Promise<void> {
  const { run: present, config } = engine.store.containers.get(run.containerId) ?? {};
  if (signal === SIGKILL)
    run.oomKillsAtKill = oomKills({ layout: engine.cgroups.layout, path: present?.cgroupPath ?? '' });
  await signalRun(run, signal);
  if (run.kind === 'init' && (signal === SIGKILL || signal === config?.stopSignal))
    await thawForSignal(engine, run.containerId);
}

/** @throws MydockerError `unavailable`, reason SHIM_GONE or ESRCH, when the process is gone. */
async function signalRun(run: LiveRun, signal: number): Promise<void> {
  try {
    await run.connection.request(REQUEST.signal, signal);
  } catch (error) {
    const { created } = run;
    const silent = error instanceof MydockerError && error.code === 'deadline-exceeded';
    if (!silent || created === undefined) throw error;
    // Straight to the process, past a shim that does not answer.
    signalProcess(created.pid, created.pidStartTime, signal);
  }
}

/**
 * A container's pid namespace ends only when every process in it has been reaped: its first one by its shim,
 * additional ones by shims of their own. A shim that is stopped or stuck would hold the whole container, so it
 * goes, after those of additional processes.
 */
export async function releaseStuckShims(engine: Engine, run: LiveRun): Promise<void> {
  const over = await Promise.race([run.ended.then(() => true), sleep(KILL_GRACE_MS, false)]);
  if (over) return;
  for (const held of [...inPidNamespace(engine, run.containerId), run]) {
    const answers = await held.connection.request(REQUEST.status, 0, 0, STATUS_DEADLINE_MS).then(
      () => true,
      () => false,
    );
    const { created } = held;
    if (answers || created === undefined) continue;
    engine.log.warn({ container: run.containerId, run: held.runId }, 'killing a shim that does not answer');
    signalProcess(created.shimPid, created.shimStartTime, SIGKILL);
  }
}

/** Processes other than a container's first one that its pid namespace waits for: execs, and containers that share it. */
function inPidNamespace(engine: Engine, containerId: string): LiveRun[] {
  const sharing = engine.store.containers.list().filter(({ config: { namespaces } }) => {
    const pid = namespaces?.pid;
    return pid?.kind === 'container' && pid.container === containerId;
  });
  const others = sharing.flatMap(({ id }) =>
    [...inPidNamespace(engine, id), engine.runs.initOf(id) ?? []].flat(),
  );
  return [...engine.runs.execsOf(containerId), ...others];
}

/**
 * @param request - signal by number.
 * @throws MydockerError `failed-precondition` when it does not run; `not-found`.
 */
export async function killTask(
  engine: Engine,
  request: TaskTarget & { readonly signal: number },
): Promise<void> {
  await failpoint('kill.begin');
  if (request.signal === SIGKILL && (request.runId ?? '') === '') {
    const { id } = findContainer(engine, request.container);
    if (await engine.firstCopies.end(id)) return;
  }
  const run = findRun(engine, 'kill', request);
  // A start in progress is given up by SIGKILL; any other signal waits for somebody who can take it.
  if (run.created === undefined && request.signal === SIGKILL) return run.connection.giveUp();
  try {
    if (run.created === undefined) await run.connection.started;
    // Before it is sent: what it causes is told after it.
    if (run.kind === 'init') tellSignal(engine, run, request.signal);
    await sendSignal(engine, run, request.signal);
  } catch (cause) {
    if (!saysOver(cause)) throw cause;
    throw cannot(
      'failed-precondition',
      'kill',
      'container',
      request.container,
      'its process has just ended',
      {
        reason: 'CONTAINER_NOT_RUNNING',
        cause,
      },
    );
  }
  if (request.signal === SIGKILL && run.kind === 'init') void releaseStuckShims(engine, run);
}

/** @throws MydockerError `failed-precondition` when there is no terminal. */
export async function resizeTask(
  engine: Engine,
  request: TaskTarget & { readonly rows: number; readonly columns: number },
): Promise<void> {
  const run = findRun(engine, 'resize', request);
  if (!run.terminal)
    throw cannot('failed-precondition', 'resize', 'container', request.container, 'it has no terminal', {
      reason: 'NO_TERMINAL',
    });
  await run.connection.request(REQUEST.resize, request.rows, request.columns);
  if (run.kind !== 'init') return;
  const attributes = { height: String(request.rows), width: String(request.columns) };
  tell(engine, run.containerId, 'resize', { runId: run.runId, attributes });
}

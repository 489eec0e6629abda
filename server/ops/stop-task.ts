/** Ends a container's process in order: its stop signal, time to finish, SIGKILL. */
import { setTimeout as sleep } from 'node:timers/promises';
import { failpoint } from '../failpoint.ts';
import type { ContainerRecord, Exit } from '../model/container.ts';
import { cannot } from '../model/error.ts';
import type { LiveRun } from '../task/runs.ts';
import { tell } from './container-event.ts';
import type { Engine } from './engine.ts';
import { findContainer } from './find-container.ts';
import { releaseStuckShims, sendSignal, tellSignal } from './kill-task.ts';
import { thawForSignal } from './pause-task.ts';
import { startTask } from './start-task.ts';

const SIGKILL = 9;
/** How long the kernel may take to end a process after SIGKILL. */
const KILL_DEADLINE_MS = 10_000;

export interface StopRequest {
  readonly container: string;
  /** Sent first; default: the container's. */
  readonly signal?: number | undefined;
  /** Time before SIGKILL; negative: never; default: the container's. */
  readonly timeoutMs?: number | undefined;
  readonly abort?: AbortSignal | undefined;
}

async function endedWithin(run: LiveRun, ms: number, abort?: AbortSignal): Promise<boolean> {
  const stopped = new AbortController();
  const signal = abort === undefined ? stopped.signal : AbortSignal.any([stopped.signal, abort]);
  const ended = run.ended.then(() => true);
  try {
    return ms < 0
      ? await Promise.race([ended, aborted(signal)])
      : await Promise.race([ended, sleep(ms, false, { signal })]);
  } finally {
    stopped.abort();
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener('abort', () => reject(signal.reason));
  promise.catch(() => undefined);
  return promise;
}

/**
 * @returns the record as it is then; a container that does not run is no error.
 * @throws MydockerError `not-found`; `deadline-exceeded` when even SIGKILL does not end it; AbortError.
 */
export async function stopTask(engine: Engine, request: StopRequest): Promise<ContainerRecord> {
  await failpoint('stop.begin');
  const record = findContainer(engine, request.container);
  const run = engine.runs.initOf(record.id);
  if (run === undefined) {
    // Nothing of it runs, and of a start that copies nothing shall.
    await engine.firstCopies.end(record.id);
    return engine.store.containers.get(record.id) ?? record;
  }
  const { stopSignal, stopTimeoutMs } = record.config;
  if (run.created === undefined) await run.connection.giveUp();
  // Whatever waits at the start gate has no handler yet, and process 1 dies of no signal without one.
  else await send(engine, run, record.status === 'starting' ? SIGKILL : (request.signal ?? stopSignal));
  await failpoint('stop.signalled');
  await untilEnded(engine, record.name, run, { ...request, timeoutMs: request.timeoutMs ?? stopTimeoutMs });
  tell(engine, record.id, 'stop', { runId: run.runId });
  return engine.store.containers.get(record.id) ?? record;
}

/**
 * Ends an additional process as {@link stopTask} does the container's.
 * @param run - of the exec.
 * @throws MydockerError `failed-precondition` while its container is paused, where no signal would have an effect;
 *   `deadline-exceeded` as there; AbortError.
 */
export async function stopExec(engine: Engine, run: LiveRun, request: StopRequest): Promise<Exit> {
  await failpoint('stop.begin');
  const { name, status, config } = findContainer(engine, run.containerId);
  if (status === 'paused')
    throw cannot('failed-precondition', 'stop a process of', 'container', name, 'it is paused', {
      reason: 'CONTAINER_PAUSED',
      hint: `mydocker unpause ${name}`,
    });
  if (run.created === undefined) await run.connection.giveUp();
  else await send(engine, run, request.signal ?? config.stopSignal);
  await failpoint('stop.signalled');
  const { timeoutMs = config.stopTimeoutMs } = request;
  await untilEnded(engine, name, run, { ...request, timeoutMs });
  return await run.ended;
}

/** It was asked to end. */
async function untilEnded(
  engine: Engine,
  name: string,
  run: LiveRun,
  { timeoutMs, abort }: { readonly timeoutMs: number; readonly abort?: AbortSignal | undefined },
): Promise<void> {
  if (await endedWithin(run, timeoutMs, abort)) return;
  await send(engine, run, SIGKILL);
  if (run.kind === 'init') void releaseStuckShims(engine, run);
  if (!(await endedWithin(run, KILL_DEADLINE_MS, abort)))
    throw cannot('deadline-exceeded', 'stop', 'container', name, 'SIGKILL did not end it', {
      reason: 'NOT_KILLABLE',
      hint: 'a process of it hangs in the kernel, mostly on a file system that does not answer',
    });
}

/** It may be over by now: then there is nothing to signal. */
async function send(engine: Engine, run: LiveRun, signal: number): Promise<void> {
  if (run.kind === 'init') tellSignal(engine, run, signal);
  await sendSignal(engine, run, signal).catch(() => undefined);
  if (run.kind === 'exec') return;
  // The one that it is told to end by may be another than the container's own.
  await thawForSignal(engine, run.containerId);
}

/** Stop, then start: same id, name, files. */
export async function restartTask(engine: Engine, request: StopRequest): Promise<ContainerRecord> {
  const { id } = await stopTask(engine, request);
  const record = await startTask(engine, { container: id });
  tell(engine, id, 'restart', record.run === undefined ? {} : { runId: record.run.runId });
  return record;
}

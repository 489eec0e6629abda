/** Waits until a process is over, and says how it ended. */
import type { Exit } from '../model/container.ts';
import { cancelled, cannot } from '../model/error.ts';
import { isAlive } from '../model/task-state.ts';
import type { Engine } from './engine.ts';
import { findContainer } from './find-container.ts';

export interface WaitRequest {
  /** Id, name or prefix; may be gone already when a run id is given. */
  readonly container: string;
  readonly runId?: string | undefined;
  /**
   * `not-running`: returns at once for a container that does not run; `next-exit`: waits for an end to come;
   * `removed`: until the container is gone.
   */
  readonly condition: 'not-running' | 'next-exit' | 'removed';
  readonly abort: AbortSignal;
}

export interface WaitResult {
  readonly containerId: string;
  readonly runId: string;
  readonly exit: Exit;
}

/** As `docker wait` of a container that never ran: nothing ended, status 0. */
const NEVER_RAN: Exit = {
  exitStatus: 0,
  signal: 0,
  oomKilled: false,
  exitedAt: 0n,
  reason: 'exited',
  message: '',
};

async function orAborted<T>(promise: Promise<T>, abort: AbortSignal): Promise<T> {
  const { promise: given, reject } = Promise.withResolvers<never>();
  const giveUp = (): void => reject(cancelled('the request was cancelled'));
  if (abort.aborted) giveUp();
  abort.addEventListener('abort', giveUp);
  try {
    return await Promise.race([promise, given]);
  } finally {
    abort.removeEventListener('abort', giveUp);
  }
}

/** @throws MydockerError `not-found` for an unknown container or run, `cancelled`. */
export async function waitTask(engine: Engine, request: WaitRequest): Promise<WaitResult> {
  const { runId = '', condition, abort } = request;
  if (runId !== '') return waitRun(engine, request.container, runId, abort);
  const record = findContainer(engine, request.container);
  if (condition === 'removed') return waitRemoved(engine, record.id, abort);
  let live = engine.runs.initOf(record.id);
  if (live === undefined && condition === 'next-exit') {
    await orAborted(started(engine, record.id, abort), abort);
    live = engine.runs.initOf(record.id);
  }
  if (live !== undefined)
    return { containerId: record.id, runId: live.runId, exit: await orAborted(live.ended, abort) };
  const now = engine.store.containers.get(record.id) ?? record;
  return { containerId: record.id, runId: now.run?.runId ?? '', exit: now.exit ?? NEVER_RAN };
}

async function waitRun(
  engine: Engine,
  container: string,
  runId: string,
  abort: AbortSignal,
): Promise<WaitResult> {
  const live = engine.runs.get(runId);
  if (live !== undefined)
    return { containerId: live.containerId, runId, exit: await orAborted(live.ended, abort) };
  const ended = engine.runs.endOf(runId);
  if (ended !== undefined) return ended;
  const record = findContainer(engine, container);
  if (record.run?.runId === runId && record.exit !== undefined && !isAlive(record.status))
    return { containerId: record.id, runId, exit: record.exit };
  throw cannot('not-found', 'wait for', 'container', record.name, `no process with run id ${runId}`, {
    reason: 'RUN_NOT_FOUND',
  });
}

/** The next start of a container, as the event log tells it. */
async function started(engine: Engine, id: string, abort: AbortSignal): Promise<void> {
  for await (const event of engine.store.events.since(engine.store.events.lastSeq, { signal: abort }))
    if (event.id === id && event.type === 'container.start') return;
}

async function waitRemoved(engine: Engine, id: string, abort: AbortSignal): Promise<WaitResult> {
  const before = engine.store.events.lastSeq;
  let last = engine.store.containers.get(id);
  for await (const event of engine.store.events.since(before, { signal: abort })) {
    if (event.id === id && event.type === 'container.destroy') break;
    last = engine.store.containers.get(id) ?? last;
    if (engine.store.containers.get(id) === undefined) break;
  }
  if (abort.aborted) throw cancelled('the request was cancelled');
  return { containerId: id, runId: last?.run?.runId ?? '', exit: last?.exit ?? NEVER_RAN };
}

/**
 * How a container goes: its record first, so that nobody finds what is half removed, then its folder out of
 * sight in one step, then the files. Whatever dies in between, the sweep at the next start ends it.
 */

import { renameSync } from 'node:fs';
import { failpoint } from '../failpoint.ts';
import type { ContainerRecord, Exit } from '../model/container.ts';
import { cannot, MydockerError } from '../model/error.ts';
import { SIGKILL } from '../model/signal.ts';
import { isAlive, transition } from '../model/task-state.ts';
import type { LiveRun } from '../task/runs.ts';
import { containerEvent } from './container-event.ts';
import { discardVolumes, forgetVolumes, ownVolumes } from './container-volumes.ts';
import { discardFolder } from './discard-folder.ts';
import type { Engine } from './engine.ts';
import { expectRev, findContainer } from './find-container.ts';
import { withVolumes } from './held-volumes.ts';
import { killTask } from './kill-task.ts';

export interface RemoveRequest {
  /** Id, name or unique prefix. */
  readonly container: string;
  /** Kills it first where it runs. */
  readonly force: boolean;
  /** Also its anonymous volumes; those of a container that removes itself go anyway. Default false. */
  readonly volumes?: boolean;
  /** Refused unless it has this rev; absent or 0n: whatever. */
  readonly expectedRev?: bigint;
  /** Ends the wait for a killed process, not the removal. */
  readonly abort?: AbortSignal;
}

export interface RemoveResult {
  readonly id: string;
  /** How it ended where it was killed for the removal. */
  readonly exit?: { readonly runId: string; readonly exit: Exit };
}

/** How often a container that somebody starts again meanwhile is killed again. */
const MAX_KILLS = 3;
/** How long a killed process may take to be gone. */
const KILL_DEADLINE_MS = 10_000;

/**
 * Removes a container with its files and log. Returns once it is out of all lists; much data is deleted behind.
 * @throws MydockerError `not-found`; `failed-precondition` while it runs, unless forced; `aborted` for another rev.
 */
export async function removeContainer(engine: Engine, request: RemoveRequest): Promise<RemoveResult> {
  const { id } = findContainer(engine, request.container);
  let killed: RemoveResult['exit'];
  for (let kills = 0; ; kills += 1) {
    if (request.force && kills < MAX_KILLS) killed = (await kill(engine, id, request)) ?? killed;
    // A start waits in the same queue, so that after the look at the status nothing starts any more.
    const removed = await engine.queues.run('container', id, () =>
      remove(engine, id, request, request.force && kills < MAX_KILLS),
    );
    if (removed) return killed === undefined ? { id } : { id, exit: killed };
  }
}

/** @returns how it ended; undefined where it did not run. */
async function kill(engine: Engine, id: string, request: RemoveRequest): Promise<RemoveResult['exit']> {
  const record = findContainer(engine, id);
  expectRev('remove', record, request.expectedRev ?? 0n);
  const run = engine.runs.initOf(id);
  if (run === undefined) {
    await engine.firstCopies.end(id);
    return undefined;
  }
  const { runId } = run;
  try {
    await killTask(engine, { container: id, runId, signal: SIGKILL });
  } catch (error) {
    // Over before the signal came: what was wanted.
    if (!(error instanceof MydockerError)) throw error;
  }
  return { runId, exit: await endOf(run, record.name, request.abort) };
}

async function endOf(run: LiveRun, name: string, abort: AbortSignal | undefined): Promise<Exit> {
  const deadline = AbortSignal.timeout(KILL_DEADLINE_MS);
  const { promise: givenUp, reject } = Promise.withResolvers<never>();
  const refuse = (): void =>
    reject(
      cannot('deadline-exceeded', 'remove', 'container', name, 'SIGKILL did not end it', {
        reason: 'NOT_KILLABLE',
        hint: 'a process of it hangs in the kernel, mostly on a file system that does not answer',
      }),
    );
  const leave = (): void => reject(abort?.reason);
  deadline.addEventListener('abort', refuse);
  abort?.addEventListener('abort', leave);
  try {
    return await Promise.race([run.ended, givenUp]);
  } finally {
    deadline.removeEventListener('abort', refuse);
    abort?.removeEventListener('abort', leave);
  }
}

/** @returns false where it runs and may be killed once more. */
async function remove(engine: Engine, id: string, request: RemoveRequest, again: boolean): Promise<boolean> {
  await failpoint('delete.begin');
  const record = engine.store.containers.get(id);
  // Removed by another request meanwhile, which is what this one wanted.
  if (record === undefined) return true;
  if (again && isAlive(record.status)) return false;
  if (!request.force) expectRev('remove', record, request.expectedRev ?? 0n);
  refuseAlive(record);
  const own = request.volumes || record.config.autoRemove ? ownVolumes(record) : [];
  await withVolumes(engine.queues, own, async () => {
    const volumes = await forgetVolumes(engine, own, id);
    await engine.store.containers.delete(id, { event: containerEvent(record, 'destroy') });
    await failpoint('delete.put');
    await removeFolder(engine, id);
    discardVolumes(engine, volumes);
  });
  // Its image went before it, by force: its layers were kept for this container.
  const { rootfs } = record.config;
  if (rootfs.kind === 'image' && engine.store.images.get(rootfs.imageId) === undefined)
    engine.garbage.collect();
  await failpoint('delete.done');
  return true;
}

function refuseAlive(record: ContainerRecord): void {
  if (isAlive(record.status))
    throw cannot('failed-precondition', 'remove', 'container', record.name, `it is ${record.status}`, {
      reason: 'CONTAINER_RUNNING',
      hint: 'stop it first, or remove it with -f',
      metadata: { container: record.id, status: record.status },
    });
  transition(record.status, 'delete', record.name);
}

/** The record is gone: from here nothing that fails is the client's business. */
async function removeFolder(engine: Engine, id: string): Promise<void> {
  const away = `${engine.paths.root}/containers/.rm-${id}`;
  try {
    renameSync(`${engine.paths.root}/containers/${id}`, away);
    await failpoint('delete.folder');
    discardFolder(engine, away);
  } catch (err) {
    engine.log.error({ err, container: id }, 'the folder of a removed container stays until the next start');
  }
}

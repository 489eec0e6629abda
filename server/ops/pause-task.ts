/**
 * Freezes a container, and lets it go on. The freezer is the truth and the record follows it: a server that dies in
 * between finds out from the freezer how the container stands.
 */
import { freeze, freezing, thaw } from '../cgroup/freezer.ts';
import type { CgroupPlace } from '../cgroup/limits.ts';
import { failpoint } from '../failpoint.ts';
import type { ContainerRecord } from '../model/container.ts';
import { cannot, type MydockerError } from '../model/error.ts';
import { transition } from '../model/task-state.ts';
import { containerEvent } from './container-event.ts';
import type { Engine } from './engine.ts';
import { findContainer } from './find-container.ts';

type Frozen = Pick<Engine, 'cgroups' | 'store'>;

const placeOf = ({ cgroups }: Pick<Engine, 'cgroups'>, record: ContainerRecord): CgroupPlace => ({
  layout: cgroups.layout,
  path: record.run?.cgroupPath ?? '',
});

const ended = (verb: string, name: string): MydockerError =>
  cannot('failed-precondition', verb, 'container', name, 'its process has just ended', {
    reason: 'CONTAINER_NOT_RUNNING',
  });

/**
 * @param container - id, name or unique prefix.
 * @returns the record; everything of the container stands still.
 * @throws MydockerError `failed-precondition` when it does not run or is paused; `deadline-exceeded`; `not-found`.
 */
export function pauseTask(engine: Engine, container: string): Promise<ContainerRecord> {
  const { id } = findContainer(engine, container);
  return engine.queues.run('container', id, async () => {
    const record = findContainer(engine, id);
    transition(record.status, 'pause', record.name);
    const place = placeOf(engine, record);
    await failpoint('pause.begin');
    if (!(await freeze(place))) throw ended('pause', record.name);
    try {
      await failpoint('pause.frozen');
      // Whoever kills it from here on finds it frozen, and lets it go.
      const run = engine.runs.initOf(id);
      if (run === undefined || run.oomKillsAtKill !== undefined) throw ended('pause', record.name);
      const paused = await noteFrozen(engine, record, 'running', 'paused');
      if (paused.status !== 'paused') throw ended('pause', record.name);
      return paused;
    } catch (error) {
      thaw(place);
      throw error;
    }
  });
}

/**
 * @param container - id, name or unique prefix.
 * @throws MydockerError `failed-precondition` when it is not paused; `not-found`.
 */
export function resumeTask(engine: Engine, container: string): Promise<ContainerRecord> {
  const { id } = findContainer(engine, container);
  return engine.queues.run('container', id, async () => {
    const record = findContainer(engine, id);
    transition(record.status, 'resume', record.name);
    await failpoint('resume.begin');
    thaw(placeOf(engine, record));
    await failpoint('resume.thawed');
    return await noteFrozen(engine, record, 'paused', 'running');
  });
}

/** The record after a change of the freezer; unchanged when its run is over. */
function noteFrozen(
  { store }: Pick<Engine, 'store'>,
  record: ContainerRecord,
  from: 'running' | 'paused',
  to: 'running' | 'paused',
): Promise<ContainerRecord> {
  const runId = record.run?.runId ?? '';
  const event = containerEvent(record, to === 'paused' ? 'pause' : 'resume', { runId });
  return store.containers.update(
    record.id,
    (now) => (now.status === from && now.run?.runId === runId ? { ...now, status: to } : now),
    { event },
  );
}

/**
 * What has been sent to a frozen process reaches it once it goes on. Never waits for other operations, as signals do
 * not.
 */
export async function thawForSignal(engine: Frozen, id: string): Promise<void> {
  const record = engine.store.containers.get(id);
  if (record?.run === undefined) return;
  const place = placeOf(engine, record);
  if (record.status !== 'paused' && freezing(place) === 'thawed') return;
  thaw(place);
  await noteFrozen(engine, record, 'paused', 'running');
}

/** After a restart of the server: what a pause or resume that was under way has come to. */
export async function settleFrozen(engine: Frozen, record: ContainerRecord): Promise<void> {
  const place = placeOf(engine, record);
  const state = freezing(place);
  // Half way; nobody was told that it stands still.
  if (state === 'freezing') thaw(place);
  if (state === 'frozen') await noteFrozen(engine, record, 'running', 'paused');
  else await noteFrozen(engine, record, 'paused', 'running');
}

/** Removes containers that do not run, as many as there are, each as if it were asked for alone. */
import type { ContainerRecord } from '../model/container.ts';
import { MydockerError } from '../model/error.ts';
import { isAlive } from '../model/task-state.ts';
import { containerBytes } from './disk-usage.ts';
import type { Engine } from './engine.ts';
import { isMeant, type PruneFilter } from './prune-filter.ts';
import { removeContainer } from './remove-container.ts';

/** Which containers to look at. */
export interface PruneContainersRequest extends PruneFilter {
  /** Ends the measurement; what has begun to go goes. */
  readonly abort?: AbortSignal;
}

export interface PruneContainersResult {
  /** Ids, oldest first. */
  readonly removed: readonly string[];
  /** Bytes of files and logs that become free. */
  readonly reclaimedBytes: bigint;
}

/** Removals under way at a time. */
const AT_ONCE = 64;

/** Answers before the files are gone. */
export async function pruneContainers(
  engine: Engine,
  { abort, ...filter }: PruneContainersRequest,
): Promise<PruneContainersResult> {
  const containers = engine.store.containers
    .list()
    .filter(
      ({ status, createdAt, config }) =>
        !isAlive(status) && isMeant(filter, { createdAt, labels: config.labels }),
    );
  const ids = containers.map(({ id }: ContainerRecord) => id);
  const sizes = await containerBytes(engine, containers, abort);
  const bytes = new Map(
    ids.map((id, index) => [id, (sizes[index]?.files ?? 0n) + (sizes[index]?.log ?? 0n)]),
  );
  const removed: string[] = [];
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    const some = ids.slice(at, at + AT_ONCE);
    const gone = await Promise.all(some.map((id) => removeIfIdle(engine, id)));
    removed.push(...some.filter((_, index) => gone[index]));
  }
  const reclaimedBytes = removed.reduce((total, id) => total + (bytes.get(id) ?? 0n), 0n);
  const attributes = { reclaimed_bytes: String(reclaimedBytes) };
  await engine.store.events.append({ type: 'container.prune', kind: 'container', id: '', attributes });
  return { removed, reclaimedBytes };
}

/** @returns false for one that was started or removed meanwhile. */
async function removeIfIdle(engine: Engine, id: string): Promise<boolean> {
  try {
    await removeContainer(engine, { container: id, force: false });
    return true;
  } catch (error) {
    if (
      error instanceof MydockerError &&
      (error.code === 'failed-precondition' || error.code === 'not-found')
    )
      return false;
    throw error;
  }
}

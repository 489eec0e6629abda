/** Removes volumes that no container has: anonymous ones, which were kept when theirs was removed, or all. */
import { measureTrees } from '../image/measure-trees.ts';
import { containersWith, usedVolumes } from './container-volumes.ts';
import type { Engine } from './engine.ts';
import { isMeant, type PruneFilter } from './prune-filter.ts';
import { volumeFolder } from './volume-folders.ts';
import { removeUnused } from './volumes.ts';

/** Which volumes to look at. */
export interface PruneVolumesRequest extends PruneFilter {
  /** Also those that have a name. Default false. */
  readonly all?: boolean;
  /** Ends the measurement. */
  readonly abort?: AbortSignal;
}

export interface PruneVolumesResult {
  /** Names. */
  readonly removed: readonly string[];
  /** Bytes that become free. */
  readonly reclaimedBytes: bigint;
}

/** Answers before the files are gone. */
export async function pruneVolumes(
  engine: Engine,
  { abort, all = false, ...filter }: PruneVolumesRequest,
): Promise<PruneVolumesResult> {
  const used = usedVolumes(engine.store);
  const unused = engine.store.volumes
    .list()
    .filter((volume) => (all || volume.anonymous) && !used.has(volume.name) && isMeant(filter, volume))
    .map(({ name }) => name);
  const sizes = await measureTrees(
    unused.map((name) => volumeFolder(engine.paths, name)),
    abort,
  );
  const removed: string[] = [];
  let reclaimedBytes = 0n;
  for (const [index, name] of unused.entries()) {
    if (!(await removeIfUnused(engine, name))) continue;
    removed.push(name);
    reclaimedBytes += sizes[index]?.bytes ?? 0n;
  }
  return { removed, reclaimedBytes };
}

/** @returns false for one that a container got meanwhile, or that is gone. */
function removeIfUnused(engine: Engine, name: string): Promise<boolean> {
  return engine.queues.run('volume', name, async () => {
    const isWanted = engine.heldVolumes.count(name) > 0 || containersWith(engine, name).length > 0;
    if (isWanted || engine.store.volumes.get(name) === undefined) return false;
    await removeUnused(engine, name);
    return true;
  });
}

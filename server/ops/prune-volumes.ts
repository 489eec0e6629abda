/** Removes anonymous volumes that no container has: those that were kept when theirs was removed. */
import { measureTrees } from '../image/measure-trees.ts';
import { discardVolumes, forgetVolumes, usedVolumes, volumeFolder } from './container-volumes.ts';
import type { Engine } from './engine.ts';
import { isMeant, type PruneFilter } from './prune-filter.ts';

/** Which volumes to look at. */
export interface PruneVolumesRequest extends PruneFilter {
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
  { abort, ...filter }: PruneVolumesRequest,
): Promise<PruneVolumesResult> {
  const unused = (): string[] => {
    const used = usedVolumes(engine.store);
    return engine.store.volumes
      .list()
      .filter((volume) => volume.anonymous && !used.has(volume.name) && isMeant(filter, volume))
      .map(({ name }) => name);
  };
  const measured = unused();
  const sizes = await measureTrees(
    measured.map((name) => volumeFolder(engine.paths, name)),
    abort,
  );
  // One that a container got meanwhile stays.
  const still = new Set(unused());
  const removed = measured.filter((name) => still.has(name));
  await forgetVolumes(engine, removed);
  if (removed.length > 0) await engine.store.flush();
  discardVolumes(engine, removed);
  const bytes = measured.map((name, index) => (still.has(name) ? (sizes[index]?.bytes ?? 0n) : 0n));
  return { removed, reclaimedBytes: bytes.reduce((total, size) => total + size, 0n) };
}

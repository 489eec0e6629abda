/** Removes images that nothing uses, as many as there are, each as if it were asked for alone. */
import { type ImageRecord, tagsOf } from '../model/image.ts';
import { usedSerials } from './garbage.ts';
import { containersOf, type ImageEngine } from './image-engine.ts';
import { labelsMatch } from './list-containers.ts';
import { isBuiltBefore } from './list-images.ts';
import type { PruneFilter } from './prune-filter.ts';
import { removeRecord } from './remove-image.ts';

/** Which images to look at; the moment is that of the build, as the image says itself. */
export interface PruneImagesRequest extends PruneFilter {
  /** Also images with references that no container uses; else dangling ones only. */
  readonly all: boolean;
}

export interface PruneImagesResult {
  /** References that are gone. */
  readonly untagged: readonly string[];
  /** Ids of images that are gone. */
  readonly deleted: readonly string[];
  /** Bytes of layers, unpacked, and of what pulls left that become free. */
  readonly reclaimedBytes: bigint;
}

/** Answers before the files are gone. @throws MydockerError when the records cannot be written. */
export async function pruneImages(
  engine: ImageEngine,
  request: PruneImagesRequest,
): Promise<PruneImagesResult> {
  const { images, layers } = engine.store;
  const candidates = images.list().filter((image) => isPrunable(engine, request, image));
  // Before their records go.
  const sizes = new Map(layers.list().map(({ serial, sizeBytes }) => [serial, sizeBytes]));
  // All at once: each in its own queue, and the records of all in few writes.
  const removals = await Promise.all(
    candidates.map(({ id }) =>
      engine.queues.run('image', id, async () => {
        const image = images.get(id);
        // It came into use, got a name or went while this waited.
        if (image === undefined || !isPrunable(engine, request, image)) return undefined;
        await removeRecord(engine, image);
        return image;
      }),
    ),
  );
  const removed = removals.filter((image) => image !== undefined);
  const kept = usedSerials(engine.store);
  const freed = new Map(
    removed.flatMap(({ layers }) => layers.map(({ serial }) => [serial, sizes.get(serial) ?? 0n])),
  );
  for (const serial of kept) freed.delete(serial);
  // What a pull that failed has left is of no use to anybody who wants room.
  const downloaded = BigInt(await engine.downloads.sweep(0));
  const reclaimedBytes = [...freed.values()].reduce((total, bytes) => total + bytes, downloaded);
  const attributes = { reclaimed_bytes: String(reclaimedBytes) };
  await engine.store.events.append({ type: 'image.prune', kind: 'image', id: '', attributes });
  return {
    untagged: removed.flatMap(({ references }) => references).sort(),
    deleted: removed.map(({ id }) => id),
    reclaimedBytes,
  };
}

function isPrunable(engine: ImageEngine, request: PruneImagesRequest, image: ImageRecord): boolean {
  const { all, createdBefore, labels } = request;
  return (
    (all || tagsOf(image).length === 0) &&
    (createdBefore === undefined || isBuiltBefore(image, createdBefore)) &&
    labelsMatch(image.config.labels, labels) &&
    containersOf(engine.store, image.id).length === 0
  );
}

/**
 * At start, before anybody is served: makes the disk and the records of images agree again after a death.
 */
import { failpoint } from '../failpoint.ts';
import { changeLayers } from './garbage.ts';
import type { ImageEngine } from './image-engine.ts';

/** What was found. */
export interface ImageSweep {
  /** Files and folders that no record named. */
  readonly removed: readonly string[];
  /** Bytes of layers that had a record and no image. */
  readonly unusedBytes: bigint;
  /** Layers that have a record and no folder; images and containers on them do not start. */
  readonly missing: readonly bigint[];
}

/** Removes what nothing names, and tells what is named and not there. Removing goes on in the background. */
export async function sweepImages(engine: ImageEngine): Promise<ImageSweep> {
  return await changeLayers(engine, async () => {
    await failpoint('recover.sweep');
    const { layers } = await engine.garbage.collectNow();
    const unusedBytes = layers.reduce((total, layer) => total + layer.sizeBytes, 0n);
    const serials = new Set(engine.store.layers.list().map((layer) => layer.serial));
    // A layer whose record was lost is kept while a container still needs it.
    for (const container of engine.store.containers.list())
      for (const serial of container.layers) serials.add(serial);
    const { removed, missing } = await engine.layers.sweep(serials);
    const spooled = await engine.ingest.prepare();
    await engine.downloads.prepare();
    const blobs = await engine.blobs.sweep(engine.garbage.neededBlobs());
    const found = { removed: [...removed, ...blobs, ...spooled], unusedBytes, missing };
    if (found.removed.length > 0 || unusedBytes > 0n)
      engine.log.info(found, 'leftovers of images were removed');
    if (missing.length > 0) engine.log.error({ missing }, 'layers are recorded but not on the disk');
    return found;
  });
}

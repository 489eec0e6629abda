/**
 * What the operations on images work with beside the engine, and what several of them ask of the records:
 * who uses an image, and which layers and blobs nobody needs any more.
 */
import type { BlobStore } from '../image/blob-store.ts';
import type { LayerStore } from '../image/layer-store.ts';
import type { ContainerRecord } from '../model/container.ts';
import { aborted, notFound } from '../model/error.ts';
import { shortId } from '../model/ids.ts';
import type { ImageRecord, LayerRecord } from '../model/image.ts';
import { resolveImage } from '../model/resolve.ts';
import type { Store } from '../store/store.ts';
import type { Engine } from './engine.ts';

/** What main.ts gives to the operations on images. */
export interface ImageEngine extends Pick<Engine, 'store' | 'queues' | 'log'> {
  readonly layers: LayerStore;
  readonly blobs: BlobStore;
}

/**
 * Runs a change of the layers, which images share: what is counted as unused must not come into use
 * meanwhile. Taken after the queue of an image, never before.
 */
export function changeLayers<T>(engine: Pick<ImageEngine, 'queues'>, work: () => Promise<T>): Promise<T> {
  return engine.queues.run('image', 'layers', work);
}

/**
 * The image that a text means: reference, id or unique prefix of an id.
 * @throws MydockerError `not-found`; `invalid-argument` when it is malformed or means several.
 */
export function findImage(engine: Pick<ImageEngine, 'store'>, text: string): ImageRecord {
  const { images } = engine.store;
  const id = resolveImage(text, { ids: images.ids(), idByName: (name) => images.idByReference(name) });
  const record = images.get(id);
  if (record === undefined) throw notFound('image', text);
  return record;
}

/** Containers made from an image, oldest first. */
export function containersOf(store: Store, imageId: string): ContainerRecord[] {
  return store.containers
    .list()
    .filter(({ config: { rootfs } }) => rootfs.kind === 'image' && rootfs.imageId === imageId);
}

/** Layers that no image and no container has, those on top first. */
export function unusedLayers(store: Store): LayerRecord[] {
  const used = new Set<bigint>();
  for (const image of store.images.list()) for (const layer of image.layers) used.add(layer.serial);
  for (const container of store.containers.list()) for (const serial of container.layers) used.add(serial);
  return store.layers
    .list()
    .filter((layer) => !used.has(layer.serial))
    .reverse();
}

/**
 * Removes layers that nobody has: their records first, then, when those are gone for good, the files.
 * To be called within {@link changeLayers}.
 * @returns bytes that become free.
 */
export async function removeUnusedLayers(engine: ImageEngine): Promise<bigint> {
  const unused = unusedLayers(engine.store);
  for (const layer of unused) await engine.store.layers.delete(layer.chainId, { sync: false });
  if (unused.length > 0) await engine.store.flush();
  for (const layer of unused) await engine.layers.remove(layer.serial);
  return unused.reduce((total, layer) => total + layer.sizeBytes, 0n);
}

/**
 * Refuses a change that was meant for another state of the image.
 * @param expected - rev that the client saw; 0n is "whatever".
 * @throws MydockerError `aborted`, reason REV_MISMATCH.
 */
export function expectImageRev(verb: string, record: ImageRecord, expected: bigint): void {
  if (expected === 0n || record.rev === expected) return;
  throw aborted(`cannot ${verb} image ${shortId(record.id)}: it was changed meanwhile`, {
    reason: 'REV_MISMATCH',
    hint: 'read it again, then decide again',
    metadata: { image: record.id, expected: String(expected), rev: String(record.rev) },
  });
}

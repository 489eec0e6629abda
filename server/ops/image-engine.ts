/**
 * What the operations on images work with beside the engine, and what several of them ask of the records:
 * which image a text means, and who uses it.
 */
import type { BlobStore } from '../image/blob-store.ts';
import type { Ingest } from '../image/ingest.ts';
import type { LayerStore } from '../image/layer-store.ts';
import type { ContainerRecord } from '../model/container.ts';
import { aborted, notFound } from '../model/error.ts';
import { shortId } from '../model/ids.ts';
import type { ImageRecord } from '../model/image.ts';
import { resolveImage } from '../model/resolve.ts';
import type { Store } from '../store/store.ts';
import type { Engine } from './engine.ts';

/** What main.ts gives to the operations on images. */
export interface ImageEngine
  extends Pick<
    Engine,
    'store' | 'queues' | 'log' | 'garbage' | 'registries' | 'registryLimits' | 'downloads'
  > {
  readonly layers: LayerStore;
  readonly blobs: BlobStore;
  readonly ingest: Ingest;
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

/** Ids of the images that containers are made from. */
export function usedImages({ containers }: Pick<Store, 'containers'>): Set<string> {
  return new Set(
    containers.list().flatMap(({ config: { rootfs } }) => (rootfs.kind === 'image' ? [rootfs.imageId] : [])),
  );
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

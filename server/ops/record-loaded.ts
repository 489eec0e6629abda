/**
 * The last step of a load: the documents of an image become blobs, its record is written, and the names that
 * came with it point at it. Its layers are recorded, and all of it is kept by the load's lease.
 */
import { failpoint } from '../failpoint.ts';
import type { KeptDocument } from '../image/archive-image.ts';
import type { ImageDescription } from '../image/image-config.ts';
import { type ImageLayer, type ImageRecord, tagsOf } from '../model/image.ts';
import { nowNs } from '../model/time.ts';
import type { Lease } from './garbage.ts';
import { changeLayers } from './garbage.ts';
import type { ImageEngine } from './image-engine.ts';
import { type CameFile, keepPacked, type PackedFile, settlePacked } from './keep-packed.ts';

/** An image whose layers are here. */
export interface ImageToRecord {
  readonly config: KeptDocument;
  /** Absent where it came without one. */
  readonly manifest?: KeptDocument;
  readonly description: ImageDescription;
  /** Base first, kept by the lease. */
  readonly layers: readonly ImageLayer[];
  /** What came for each of them; undefined: nothing. */
  readonly packed: readonly (CameFile | undefined)[];
}

/** Under which names it is recorded, and how it came. */
export interface RecordedAs {
  /** Full references, by tag or digest. */
  readonly references: readonly string[];
  /** The event that tells of it. */
  readonly verb: 'load' | 'pull';
}

/**
 * Writes the image, or where it is here already gives it the names; durable when it returns. Names are taken
 * from the images that had them, which stay without, as Docker does it.
 */
export async function recordLoaded(
  engine: ImageEngine,
  lease: Lease,
  image: ImageToRecord,
  as: RecordedAs,
): Promise<void> {
  const id = image.config.digest;
  const packed = await settlePacked(engine, image.packed);
  const documents = [image.config, ...(image.manifest === undefined ? [] : [image.manifest])];
  for (const { digest } of documents) lease.keep(digest);
  // Not while it is being removed, nor while somebody counts what is used.
  await engine.queues.run('image', id, () =>
    changeLayers(engine, async () => {
      const present = engine.store.images.get(id);
      if (present === undefined) {
        for (const document of documents) await keepDocument(engine, document);
        const layers = await keepPacked(engine, lease, image.layers, packed);
        await failpoint('load.blobs');
        await putImage(engine, { ...image, layers }, as);
      } else {
        if (present.layers.some((layer, index) => isNews(layer, packed[index]))) {
          const layers = await keepPacked(engine, lease, present.layers, packed);
          await engine.store.images.update(id, (before) => ({ ...before, layers }), { sync: false });
        }
        await pointReferences(engine, id, as);
      }
      await failpoint('load.put-image');
      // Where nothing was written now, what an unsynced write before left is made durable.
      await engine.store.flush();
    }),
  );
}

/**
 * Gives an image that is here its names; durable when it returns.
 * @returns false: it is not here, and nothing was done.
 */
export async function recordNames(
  engine: ImageEngine,
  id: string,
  as: Pick<RecordedAs, 'references'>,
): Promise<boolean> {
  return await engine.queues.run('image', id, async () => {
    if (engine.store.images.get(id) === undefined) return false;
    await pointReferences(engine, id, as);
    await engine.store.flush();
    return true;
  });
}

/** Whether there is now what was not kept before. */
function isNews({ packed }: ImageLayer, file: PackedFile | undefined): boolean {
  return packed === undefined && file !== undefined;
}

async function keepDocument(engine: ImageEngine, document: KeptDocument): Promise<void> {
  const { digest, mediaType, bytes } = document;
  await engine.blobs.write(bytes);
  if (engine.store.blobs.get(digest) !== undefined) return;
  const now = nowNs();
  await engine.store.blobs.put(
    {
      ...{ v: 1, rev: 0n, createdAt: now, updatedAt: now },
      ...{ digest, mediaType, sizeBytes: BigInt(bytes.length) },
    },
    // The image's record makes it durable; without that nobody needs it.
    { sync: false },
  );
}

async function putImage(engine: ImageEngine, image: ImageToRecord, as: RecordedAs): Promise<void> {
  const { diffIds: _, ...description } = image.description;
  const now = nowNs();
  const id = image.config.digest;
  const { layers } = image;
  const record: ImageRecord = {
    ...description,
    ...{ v: 1, rev: 0n, createdAt: now, updatedAt: now, id },
    ...{ references: as.references, layers, sizeBytes: sizeOf(engine, layers) },
    ...(image.manifest === undefined ? {} : { manifestDigest: image.manifest.digest }),
  };
  const names = tagsOf(record);
  const attributes = names.length === 0 ? {} : { reference: names.join(' ') };
  const event = { type: `image.${as.verb}`, kind: 'image', id, attributes } as const;
  await engine.store.images.addNamed(record, { event });
}

async function pointReferences(
  engine: ImageEngine,
  id: string,
  as: Pick<RecordedAs, 'references'>,
): Promise<void> {
  const { images } = engine.store;
  for (const reference of as.references) {
    if (images.idByReference(reference) === id) continue;
    const event = { type: 'image.tag', kind: 'image', id, attributes: { reference } } as const;
    await images.setReference(reference, id, reference.includes('@') ? {} : { event });
  }
}

function sizeOf({ store }: ImageEngine, layers: readonly ImageLayer[]): bigint {
  return layers.reduce((total, { chainId }) => total + (store.layers.get(chainId)?.sizeBytes ?? 0n), 0n);
}

/**
 * A layer that came as a plain tar, made small once before it is sent for the first time; what is kept of it is the
 * small one from then on. Compression runs in the threads of zlib.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Descriptor } from '../image/oci-manifest.ts';
import { type Digest, digestHash } from '../model/digest.ts';
import { changeLayers, type Lease } from './garbage.ts';
import type { ImageEngine } from './image-engine.ts';
import { keepFile } from './keep-packed.ts';

/** Hardly larger than with zlib's usual 6, in half of the time. */
const LEVEL = 4;
const READ_BYTES = 256 * 1024;

/** A layer as it is kept. */
export interface KeptLayer extends Descriptor {
  readonly digest: Digest;
}

/** Whether a layer is not compressed. */
export function isPlainTar({ mediaType }: Pick<Descriptor, 'mediaType'>): boolean {
  return mediaType.endsWith('.tar');
}

/**
 * @param plain - kept as a blob.
 * @param lease - keeps what comes of it.
 * @returns the compressed layer, kept as a blob in place of the plain one.
 * @throws what the disk throws; the signal's reason.
 */
export async function compressPacked(
  engine: ImageEngine,
  lease: Pick<Lease, 'keep'>,
  plain: KeptLayer,
  signal: AbortSignal,
): Promise<KeptLayer> {
  await using spool = await engine.blobs.spool();
  const hash = createHash('sha256');
  let sizeBytes = 0;
  await pipeline(
    createReadStream(engine.blobs.path(plain.digest), { highWaterMark: READ_BYTES }),
    createGzip({ level: LEVEL, chunkSize: READ_BYTES }),
    (source: AsyncIterable<Buffer>) => spool.through(source),
    async (source: AsyncIterable<Uint8Array>) => {
      for await (const chunk of source) {
        hash.update(chunk);
        sizeBytes += chunk.length;
      }
    },
    { signal },
  );
  const digest = digestHash(hash);
  await engine.blobs.settle(spool.path);
  lease.keep(digest);
  await changeLayers(engine, () => keepFile(engine, { path: spool.path, digest, sizeBytes }));
  await replace(engine, plain.digest, digest);
  return { mediaType: `${plain.mediaType}+gzip`, digest, sizeBytes };
}

/** In all images that have it; the plain one goes with the lease. */
async function replace({ store, queues }: ImageEngine, plain: Digest, packed: Digest): Promise<void> {
  for (const { id, layers } of store.images.list()) {
    if (!layers.some((layer) => layer.packed === plain)) continue;
    await queues.run('image', id, async () => {
      if (store.images.get(id) === undefined) return;
      await store.images.update(id, (image) => ({
        ...image,
        layers: image.layers.map((layer) => (layer.packed === plain ? { ...layer, packed } : layer)),
      }));
    });
  }
}

/**
 * The tars of layers as they came, kept beside the unpacked ones, so that an image can be sent on as it is: under
 * its own digests, without being packed again.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { packedType } from '../image/packed-type.ts';
import { type ContentDigest, type Digest, digestHash, isDigest } from '../model/digest.ts';
import type { ImageLayer } from '../model/image.ts';
import { nowNs } from '../model/time.ts';
import type { Lease } from './garbage.ts';
import type { ImageEngine } from './image-engine.ts';

/** A file with the bytes of a layer, as it came. */
export interface CameFile {
  readonly path: string;
  /** Of the bytes as they are, known to be right. */
  readonly digest: ContentDigest;
  readonly sizeBytes: number;
}

/** The same, as it is kept. */
export interface PackedFile extends CameFile {
  readonly digest: Digest;
}

/** Waits for the disk, and reads what has no name that we would give it, so that nobody else waits meanwhile. */
export async function settlePacked(
  { blobs }: ImageEngine,
  files: readonly (CameFile | undefined)[],
): Promise<(PackedFile | undefined)[]> {
  const settled: (PackedFile | undefined)[] = [];
  for (const file of files) {
    if (file !== undefined) await blobs.settle(file.path);
    settled.push(file === undefined ? undefined : { ...file, digest: await ownDigest(file) });
  }
  return settled;
}

async function ownDigest({ path, digest }: CameFile): Promise<Digest> {
  if (isDigest(digest)) return digest;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return digestHash(hash);
}

/**
 * Makes blobs of what came; their records become durable with the image's. Within changeLayers of garbage.ts.
 * @param files - one for each layer; undefined: it did not come.
 * @returns the layers, each with what is kept of it, also by another image.
 */
export async function keepPacked(
  engine: ImageEngine,
  lease: Pick<Lease, 'keep'>,
  layers: readonly ImageLayer[],
  files: readonly (PackedFile | undefined)[],
): Promise<ImageLayer[]> {
  const kept: ImageLayer[] = [];
  for (const [index, layer] of layers.entries()) {
    const file = files[index];
    const packed = file?.digest ?? packedBefore(engine, layer.diffId);
    if (packed !== undefined) lease.keep(packed);
    if (file !== undefined) await keepFile(engine, file);
    kept.push(packed === undefined ? layer : { ...layer, packed });
  }
  return kept;
}

/** Makes a blob of one file; within changeLayers of garbage.ts, and kept by a lease. */
export async function keepFile(
  { blobs, store }: ImageEngine,
  { path, digest, sizeBytes }: PackedFile,
): Promise<void> {
  if (store.blobs.get(digest) !== undefined) return;
  await blobs.take(path, digest);
  const now = nowNs();
  const mediaType = await packedType(path);
  const record = { v: 1, rev: 0n, createdAt: now, updatedAt: now, digest, mediaType } as const;
  await store.blobs.put({ ...record, sizeBytes: BigInt(sizeBytes) }, { sync: false });
}

/** What an image that is here keeps of the same content. */
function packedBefore({ store }: ImageEngine, diffId: Digest): Digest | undefined {
  for (const image of store.images.list())
    for (const layer of image.layers)
      if (layer.diffId === diffId && layer.packed !== undefined) return layer.packed;
  return undefined;
}

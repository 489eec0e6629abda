/**
 * How an archive of images becomes images: taken apart by a worker, its documents read and checked, then for
 * each image the layers that are not there yet unpacked, base first, and the image recorded. What was made for
 * an image that fails is unneeded and collected; images recorded before it stay.
 */
import { open, unlink } from 'node:fs/promises';
import { failpoint } from '../failpoint.ts';
import type { ArchiveFile } from '../image/archive-files.ts';
import type { ArchiveImage } from '../image/archive-image.ts';
import { hostPlatform, type Platform } from '../image/choose-platform.ts';
import { filePosition } from '../image/file-position.ts';
import type { SpooledArchive } from '../image/ingest.ts';
import { readArchive } from '../image/read-archive.ts';
import type { ArchiveSource } from '../image/run-worker.ts';
import type { Digest } from '../model/digest.ts';
import { familiarReference, parseReference } from '../model/reference.ts';
import type { Lease } from './garbage.ts';
import type { ImageEngine } from './image-engine.ts';
import { asLoadError } from './load-error.ts';
import { type LayerLoad, loadLayers, type PackedLayer } from './load-layer.ts';
import { recordLoaded } from './record-loaded.ts';

/** What to take out of an archive. */
export interface LoadRequest {
  /** Absent: the host's, and an image that comes alone is taken for what it is. */
  readonly platform?: Platform;
  /** Reference for an image without a name; `''`: it gets none. */
  readonly defaultReference: string;
}

/** An image that is here now. */
export interface LoadedImage {
  readonly imageId: string;
  /** References of the archive that point at it now, full; none: it had no name. */
  readonly references: readonly string[];
}

/** What happens to an archive or to a layer. */
export interface LoadProgress {
  /** Diff id of a layer; `''`: the archive as a whole. */
  readonly digest: string;
  readonly stage: 'fetching' | 'unpacking' | 'present' | 'done';
  readonly doneBytes: bigint;
  /** 0n: not known. */
  readonly totalBytes: bigint;
}

/** Told about a load while it goes on; must not wait. */
export interface LoadReport {
  progress(progress: LoadProgress): void;
  image(image: LoadedImage): void;
}

/**
 * @param archive - tar in one of the forms of read-archive.ts, plain or compressed with gzip or zstd.
 * @param signal - ends the work; images that were reported stay.
 * @throws MydockerError `invalid-argument` naming document, layer and entry, `resource-exhausted` for a limit
 * or a full disk; what the archive's source throws.
 */
export async function loadImages(
  engine: ImageEngine,
  request: LoadRequest,
  archive: ArchiveSource,
  report: LoadReport,
  signal?: AbortSignal,
): Promise<LoadedImage[]> {
  // A wrong name is told before gigabytes are read.
  if (request.defaultReference !== '') parseReference(request.defaultReference);
  await failpoint('load.begin');
  try {
    await using spooled = await engine.ingest.spool(archive, signal);
    await failpoint('load.spooled');
    signal?.throwIfAborted();
    return await loadAll(engine, request, spooled, report, signal);
  } catch (error) {
    throw asLoadError('', error);
  }
}

async function loadAll(
  engine: ImageEngine,
  request: LoadRequest,
  spooled: SpooledArchive,
  report: LoadReport,
  signal: AbortSignal | undefined,
): Promise<LoadedImage[]> {
  const { platform, defaultReference } = request;
  // All documents before the first layer: most faults are found where nothing has to be undone.
  const images = await readArchive(spooled.files, {
    ...{ platform: platform ?? hostPlatform(), isPlatformAsked: platform !== undefined, defaultReference },
  });
  const release = engine.blobs.keepsLayers ? () => Promise.resolve() : releaser(images);
  const loaded: LoadedImage[] = [];
  for (const image of images) {
    const [first = ''] = image.references;
    try {
      loaded.push(await loadOne(engine, image, release, { report, signal }));
    } catch (error) {
      throw asLoadError(first === '' ? '' : familiarReference(parseReference(first)), error);
    }
    report.image(loaded[loaded.length - 1] as LoadedImage);
  }
  return loaded;
}

function packedLayers(
  { layers, description: { diffIds } }: ArchiveImage,
  release: (file: ArchiveFile) => Promise<void>,
): PackedLayer[] {
  return layers.flatMap((file, index) => {
    const diffId = diffIds[index];
    return diffId === undefined ? [] : [packedLayer(file, diffId, () => release(file))];
  });
}

function packedLayer(file: ArchiveFile, diffId: Digest, release: () => Promise<void>): PackedLayer {
  const { digest, sizeBytes, path } = file;
  return {
    ...{ digest, sizeBytes, diffId, reportAs: diffId, release },
    open: async () => {
      const blob = await open(path, 'r');
      // A file without a name that is closed before the disk is waited for is never written to it.
      await release();
      return {
        archive: { fd: blob.fd },
        position: () => filePosition(blob.fd),
        // Its digest was taken when it was spooled.
        checked: Promise.resolve(),
        [Symbol.asyncDispose]: () => blob.close(),
      };
    },
  };
}

/** Takes the name of a spooled layer away with its last use in the archive. */
function releaser(images: readonly ArchiveImage[]): (file: ArchiveFile) => Promise<void> {
  const uses = new Map<string, number>();
  for (const { path } of images.flatMap(({ layers }) => layers)) uses.set(path, (uses.get(path) ?? 0) + 1);
  return async ({ path }) => {
    const left = (uses.get(path) ?? 0) - 1;
    uses.set(path, left);
    if (left === 0) await unlink(path);
  };
}

async function loadOne(
  engine: ImageEngine,
  image: ArchiveImage,
  release: (file: ArchiveFile) => Promise<void>,
  load: Omit<LayerLoad, 'lease'>,
): Promise<LoadedImage> {
  // Disposed of when the image is recorded; what it kept and nobody else needs is collected then.
  using lease: Lease = engine.garbage.lease();
  const layers = await loadLayers(engine, packedLayers(image, release), { ...load, lease });
  load.signal?.throwIfAborted();
  const { references, config } = image;
  await recordLoaded(
    engine,
    lease,
    { ...image, layers, packed: engine.blobs.keepsLayers ? image.layers : [] },
    { references, verb: 'load' },
  );
  await failpoint('load.done');
  engine.log.info({ image: config.digest, references }, 'image loaded');
  return { imageId: config.digest, references };
}

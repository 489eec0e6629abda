/**
 * Content that nothing needs any more goes, content that something needs stays: marked from the records of
 * images and containers and from the leases of work under way, and removed behind whoever made it unneeded.
 * Records go before files, so that a death leaves files that the next start sweeps.
 */
import { failpoint } from '../failpoint.ts';
import type { BlobStore } from '../image/blob-store.ts';
import type { LayerStore } from '../image/layer-store.ts';
import type { Digest } from '../model/digest.ts';
import type { ImageRecord, LayerRecord } from '../model/image.ts';
import type { Logger } from '../model/logger.ts';
import type { Store } from '../store/store.ts';
import type { ObjectQueues } from './object-queues.ts';

/** What it works on. */
export interface GarbageSources {
  readonly store: Store;
  readonly queues: ObjectQueues;
  readonly layers: LayerStore;
  readonly blobs: BlobStore;
  readonly log: Logger;
}

/** What one collection took away. */
export interface Collected {
  readonly layers: readonly LayerRecord[];
  readonly blobs: readonly Digest[];
}

/**
 * Keeps content of an image to come, from before the first of it is recorded until the image is. To be
 * disposed of; what got no record by then goes.
 */
export interface Lease extends Disposable {
  /** Keeps a blob by its digest, or a layer by its chain id, whether it is there already or not. */
  keep(digest: Digest): void;
  /**
   * Keeps a layer and looks whether it is there, so that none is found that is about to go.
   * @returns undefined: it is not there; whoever makes it records it.
   */
  findLayer(chainId: Digest): Promise<LayerRecord | undefined>;
}

/**
 * Runs a change of the layers, which images share: what is counted as unused must not come into use
 * meanwhile. Taken after the queue of an image, never before.
 */
export function changeLayers<T>(engine: Pick<GarbageSources, 'queues'>, work: () => Promise<T>): Promise<T> {
  return engine.queues.run('image', 'layers', work);
}

/** Blobs that an image needs: its config, where it came with one its manifest, and the layers that are kept packed. */
export function blobsOf({ id, manifestDigest, layers }: ImageRecord): readonly Digest[] {
  const packed = layers.flatMap((layer) => layer.packed ?? []);
  return manifestDigest === undefined ? [id, ...packed] : [id, manifestDigest, ...packed];
}

/** Serials of the layers that an image or a container has. */
export function usedSerials({ images, containers }: Pick<Store, 'images' | 'containers'>): Set<bigint> {
  const used = new Set<bigint>();
  for (const image of images.list()) for (const { serial } of image.layers) used.add(serial);
  for (const container of containers.list()) for (const serial of container.layers) used.add(serial);
  return used;
}

export class Garbage {
  readonly #sources: GarbageSources;
  /** How many leases keep it. */
  readonly #kept = new Map<Digest, number>();
  /** Blobs that may be unneeded by now. */
  #suspects = new Set<Digest>();
  /** Layers whose records are gone and whose folders are not yet. */
  readonly #doomed = new Set<bigint>();
  /** A collection that has not begun takes in all that comes before it does. */
  #waiting: Promise<void> | undefined;
  readonly #running = new Set<Promise<void>>();

  constructor(sources: GarbageSources) {
    this.#sources = sources;
  }

  /** A lease for work that makes an image. */
  lease(): Lease {
    const kept = new Set<Digest>();
    const keep = (digest: Digest): void => {
      if (!kept.has(digest)) this.#kept.set(digest, (this.#kept.get(digest) ?? 0) + 1);
      kept.add(digest);
    };
    return {
      keep,
      findLayer: (chainId) => {
        keep(chainId);
        return changeLayers(this.#sources, async () => this.#sources.store.layers.get(chainId));
      },
      [Symbol.dispose]: () => {
        for (const digest of kept) {
          const count = this.#kept.get(digest) ?? 1;
          if (count > 1) this.#kept.set(digest, count - 1);
          else this.#kept.delete(digest);
        }
        if (kept.size > 0) this.collect(kept);
        kept.clear();
      },
    };
  }

  /**
   * Removes what nothing needs, behind the caller. What fails is tried again with the next collection, and at
   * the next start.
   * @param suspects - blobs that may be unneeded by now; layers are all looked at.
   */
  collect(suspects: Iterable<Digest> = []): void {
    for (const digest of suspects) this.#suspects.add(digest);
    if (this.#waiting !== undefined) return;
    const run: Promise<void> = changeLayers(this.#sources, async () => {
      this.#waiting = undefined;
      await this.collectNow();
    })
      .catch((err: unknown) => this.#sources.log.error({ err }, 'unneeded content could not be removed'))
      .finally(() => this.#running.delete(run));
    this.#waiting = run;
    this.#running.add(run);
  }

  /** As {@link collect}, within {@link changeLayers} and awaited. */
  async collectNow(): Promise<Collected> {
    await failpoint('collect.begin');
    const { store } = this.#sources;
    const suspects = this.#suspects;
    this.#suspects = new Set();
    try {
      const layers = this.#unusedLayers();
      const blobs = this.#unusedBlobs(suspects);
      // At once, so that they share one batch; the last one makes them durable.
      const records = [
        ...layers.map(({ chainId }) => store.layers.delete(chainId, { sync: false })),
        ...blobs.map((digest) => store.blobs.delete(digest, { sync: false })),
      ];
      await Promise.all(records);
      if (records.length > 0) await store.flush();
      for (const { serial } of layers) this.#doomed.add(serial);
      await failpoint('collect.put');
      for (const serial of this.#doomed) {
        await this.#sources.layers.remove(serial);
        this.#doomed.delete(serial);
      }
      await failpoint('collect.layers');
      for (const digest of blobs) await this.#sources.blobs.remove(digest);
      await failpoint('collect.done');
      return { layers, blobs };
    } catch (error) {
      for (const digest of suspects) this.#suspects.add(digest);
      throw error;
    }
  }

  /** Digests of blobs that must be on the disk: of images, and of images to come. */
  neededBlobs(): Set<Digest> {
    const needed = new Set<Digest>(this.#kept.keys());
    for (const image of this.#sources.store.images.list())
      for (const digest of blobsOf(image)) needed.add(digest);
    return needed;
  }

  /** Resolves when nothing is being collected. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Those on top first. */
  #unusedLayers(): LayerRecord[] {
    const { store } = this.#sources;
    const used = usedSerials(store);
    const isNeeded = ({ serial, chainId }: LayerRecord): boolean =>
      used.has(serial) || this.#kept.has(chainId);
    return store.layers
      .list()
      .filter((layer) => !isNeeded(layer))
      .reverse();
  }

  #unusedBlobs(suspects: ReadonlySet<Digest>): Digest[] {
    const needed = this.neededBlobs();
    const recorded = this.#sources.store.blobs.list().map(({ digest }) => digest);
    return [...new Set([...suspects, ...recorded])].filter((digest) => !needed.has(digest));
  }
}

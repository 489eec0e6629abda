/**
 * Space on disk, kind by kind, as du would count it: layers that images share once, a container's files apart
 * from its log. Layers never change, so that each is measured once; the rest is measured each time, in a thread.
 */
import { statfs } from 'node:fs/promises';
import { measureTrees } from '../image/measure-trees.ts';
import type { ContainerRecord } from '../model/container.ts';
import { type ImageRecord, tagsOf } from '../model/image.ts';
import { isAlive } from '../model/task-state.ts';
import { usedVolumes } from './container-volumes.ts';
import { containerFolder, type Engine } from './engine.ts';
import { blobsOf } from './garbage.ts';
import { usedImages } from './image-engine.ts';
import { volumeFolder } from './volume-folders.ts';

export type UsageKind = 'images' | 'blobs' | 'containers' | 'logs' | 'volumes' | 'metadata' | 'downloads';

/** Space of one kind of data. */
export interface Usage {
  readonly kind: UsageKind;
  readonly count: number;
  /** Of them in use: images of containers, containers that run. */
  readonly activeCount: number;
  readonly bytes: bigint;
  /** What pruning containers, then all images, would free of it at most: what belongs to nothing in use. */
  readonly reclaimableBytes: bigint;
}

/** Space of one object. */
export interface ObjectUsage {
  readonly kind: UsageKind;
  readonly id: string;
  /** Name or references. */
  readonly names: readonly string[];
  readonly bytes: bigint;
  /** Of them shared with others of its kind. */
  readonly sharedBytes: bigint;
  readonly active: boolean;
}

export interface DiskUsage {
  readonly usages: readonly Usage[];
  readonly objects: readonly ObjectUsage[];
  /** Of the file system below the root folder. */
  readonly freeBytes: bigint;
  readonly totalBytes: bigint;
}

type UsageEngine = Pick<Engine, 'store' | 'paths' | 'layers' | 'blobs' | 'downloads'>;

/** Bytes of each layer by its folder, kept because a layer does not change and its folder's name is never used again. */
const layerBytes = new Map<string, bigint>();

/**
 * Measures everything.
 * @param signal - ends it.
 * @throws MydockerError `internal` where the disk refuses.
 */
export async function diskUsage(engine: UsageEngine, signal?: AbortSignal): Promise<DiskUsage> {
  const { paths, store } = engine;
  const layers = await measureLayers(engine, signal);
  const { bavail, blocks, bsize } = await statfs(paths.root, { bigint: true });
  const metadata = await total(
    ['meta', 'meta.checkpoint', 'meta.reserve'].map((name) => `${paths.root}/${name}`),
    signal,
  );
  const images = imageUsage(engine, layers);
  const blobs = await blobUsage(engine, signal);
  const containers = await containerUsage(engine, signal);
  const volumes = await volumeUsage(engine, signal);
  const records =
    store.images.size + store.containers.size + store.layers.size + store.blobs.size + store.volumes.size;
  return {
    usages: [
      images.usage,
      blobs,
      ...containers.usages,
      volumes.usage,
      await downloadUsage(engine, signal),
      { ...none('metadata'), count: records, activeCount: records, bytes: metadata },
    ],
    objects: [...images.objects, ...containers.objects, ...volumes.objects],
    freeBytes: bavail * bsize,
    totalBytes: blocks * bsize,
  };
}

/** Bytes of one container. */
export interface ContainerBytes {
  /** Files that it wrote. */
  readonly files: bigint;
  readonly log: bigint;
  /** Its image's layers. */
  readonly layers: bigint;
}

/**
 * What containers have on the disk, in order.
 * @param signal - ends the measurement.
 */
export async function containerBytes(
  engine: UsageEngine,
  containers: readonly ContainerRecord[],
  signal?: AbortSignal,
): Promise<readonly ContainerBytes[]> {
  const folders = containers.map(({ id }) => containerFolder(engine.paths, id));
  const sizes = await measureTrees(
    folders.flatMap((folder) => [folder, `${folder}/logs`]),
    signal,
  );
  const layers = await measureLayers(engine, signal);
  return containers.map((container, index) => {
    const log = sizes[2 * index + 1]?.bytes ?? 0n;
    const files = (sizes[2 * index]?.bytes ?? 0n) - log;
    // The log may have grown between the two looks.
    return {
      files: files > 0n ? files : 0n,
      log,
      // A full copy stands on nothing.
      layers:
        container.config.storageDriver === 'vfs'
          ? 0n
          : sum(container.layers.map((serial) => layers.get(serial) ?? 0n)),
    };
  });
}

const none = (kind: UsageKind): Usage => ({
  kind,
  ...{ count: 0, activeCount: 0, bytes: 0n, reclaimableBytes: 0n },
});

/** Of objects that share nothing: what is not active could be free. */
const usageOf = (kind: UsageKind, objects: readonly ObjectUsage[]): Usage => ({
  ...{ kind, count: objects.length, activeCount: objects.filter(({ active }) => active).length },
  bytes: sum(objects.map(({ bytes }) => bytes)),
  reclaimableBytes: sum(objects.filter(({ active }) => !active).map(({ bytes }) => bytes)),
});

const sum = (values: Iterable<bigint>): bigint => {
  let total = 0n;
  for (const value of values) total += value;
  return total;
};

async function total(paths: readonly string[], signal: AbortSignal | undefined): Promise<bigint> {
  return sum((await measureTrees(paths, signal)).map(({ bytes }) => bytes));
}

/** Of all layers that are recorded, by serial. */
async function measureLayers(
  { store, layers }: UsageEngine,
  signal: AbortSignal | undefined,
): Promise<Map<bigint, bigint>> {
  const serials = store.layers.list().map(({ serial }) => serial);
  const unknown = serials.filter((serial) => !layerBytes.has(layers.folder(serial)));
  const sizes = await measureTrees(
    unknown.map((serial) => layers.folder(serial)),
    signal,
  );
  for (const [index, serial] of unknown.entries())
    layerBytes.set(layers.folder(serial), sizes[index]?.bytes ?? 0n);
  const known = new Map(serials.map((serial) => [serial, layerBytes.get(layers.folder(serial)) ?? 0n]));
  const folders = new Set(serials.map((serial) => layers.folder(serial)));
  for (const folder of layerBytes.keys()) if (!folders.has(folder)) layerBytes.delete(folder);
  return known;
}

const serialsOf = (image: ImageRecord): Set<bigint> => new Set(image.layers.map(({ serial }) => serial));

function imageUsage(
  { store }: UsageEngine,
  layers: ReadonlyMap<bigint, bigint>,
): { usage: Usage; objects: ObjectUsage[] } {
  const images = store.images.list();
  const inContainers = usedImages(store);
  const active = new Set(images.filter(({ id }) => inContainers.has(id)));
  const owners = new Map<bigint, number>();
  const inUse = new Set<bigint>(store.containers.list().flatMap((container) => container.layers));
  for (const image of images) {
    for (const serial of serialsOf(image)) {
      owners.set(serial, (owners.get(serial) ?? 0) + 1);
      if (active.has(image)) inUse.add(serial);
    }
  }
  const bytesOf = (serial: bigint): bigint => layers.get(serial) ?? 0n;
  const objects = images.map((image): ObjectUsage => {
    const serials = [...serialsOf(image)];
    const shared = serials.filter((serial) => (owners.get(serial) ?? 0) > 1);
    return {
      ...{ kind: 'images', id: image.id, names: tagsOf(image), active: active.has(image) },
      bytes: sum(serials.map(bytesOf)),
      sharedBytes: sum(shared.map(bytesOf)),
    };
  });
  const unused = [...layers].filter(([serial]) => !inUse.has(serial)).map(([, bytes]) => bytes);
  const usage: Usage = {
    ...{ kind: 'images', count: images.length, activeCount: active.size },
    bytes: sum(layers.values()),
    reclaimableBytes: sum(unused),
  };
  return { usage, objects };
}

async function blobUsage({ store, blobs }: UsageEngine, signal: AbortSignal | undefined): Promise<Usage> {
  const images = store.images.list();
  const inContainers = usedImages(store);
  const active = new Set(images.filter(({ id }) => inContainers.has(id)).flatMap(blobsOf));
  const digests = [...new Set(images.flatMap(blobsOf))];
  const sizes = await measureTrees(
    digests.map((digest) => blobs.path(digest)),
    signal,
  );
  const unused = sizes.filter((_, index) => !active.has(digests[index] as (typeof digests)[number]));
  return {
    ...{ kind: 'blobs', count: digests.length, activeCount: active.size },
    bytes: sum(sizes.map(({ bytes }) => bytes)),
    reclaimableBytes: sum(unused.map(({ bytes }) => bytes)),
  };
}

async function downloadUsage(
  { downloads }: Pick<UsageEngine, 'downloads'>,
  signal: AbortSignal | undefined,
): Promise<Usage> {
  const files = await downloads.files();
  const sizes = await measureTrees(
    files.map(({ path }) => path),
    signal,
  );
  return usageOf(
    'downloads',
    files.map(({ path, isBusy }, index) => ({
      ...{ kind: 'downloads', id: path, names: [], sharedBytes: 0n, active: isBusy },
      bytes: sizes[index]?.bytes ?? 0n,
    })),
  );
}

async function containerUsage(
  engine: UsageEngine,
  signal: AbortSignal | undefined,
): Promise<{ usages: Usage[]; objects: ObjectUsage[] }> {
  const containers = engine.store.containers.list();
  const sizes = await containerBytes(engine, containers, signal);
  const objects = containers.map(({ id, name, status }, index) => {
    const object = { id, names: [name], sharedBytes: 0n, active: isAlive(status) };
    return {
      log: { ...object, kind: 'logs', bytes: sizes[index]?.log ?? 0n },
      files: { ...object, kind: 'containers', bytes: sizes[index]?.files ?? 0n },
    } as const;
  });
  const files = objects.map((object) => object.files);
  const logs = objects.map((object) => object.log);
  return { usages: [usageOf('containers', files), usageOf('logs', logs)], objects: [...files, ...logs] };
}

async function volumeUsage(
  { store, paths }: UsageEngine,
  signal: AbortSignal | undefined,
): Promise<{ usage: Usage; objects: ObjectUsage[] }> {
  const volumes = store.volumes.list();
  const used = usedVolumes(store);
  const sizes = await measureTrees(
    volumes.map(({ name }) => volumeFolder(paths, name)),
    signal,
  );
  const objects = volumes.map(
    ({ name }, index): ObjectUsage => ({
      ...{ kind: 'volumes', id: name, names: [name], sharedBytes: 0n, active: used.has(name) },
      bytes: sizes[index]?.bytes ?? 0n,
    }),
  );
  return { usage: usageOf('volumes', objects), objects };
}

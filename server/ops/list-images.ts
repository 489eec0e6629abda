/**
 * Which images a list shows, and what is counted about each. Reads memory alone and never waits.
 */
import { type BlobRecord, type ImageRecord, tagsOf } from '../model/image.ts';
import { familiarReference, parseReference } from '../model/reference.ts';
import { findImage, type ImageEngine } from './image-engine.ts';
import { type LabelCondition, labelsMatch } from './list-containers.ts';

/** An image and what follows from the other records. */
export interface ImageView {
  readonly record: ImageRecord;
  /** Its manifest; absent where it came without one. */
  readonly manifest?: BlobRecord;
  /** Bytes of the layers that no other image has. */
  readonly uniqueSizeBytes: bigint;
  /** Bytes of each layer unpacked, base first. */
  readonly layerSizes: readonly bigint[];
  /** Containers made from it. */
  readonly containerCount: number;
}

/** All conditions must hold; in a list of patterns one of them, an empty list is no condition. */
export interface ImageFilter {
  /** Patterns of references, `*` for any characters but `/`. */
  readonly references?: readonly string[];
  readonly danglingOnly?: boolean;
  readonly labels?: readonly LabelCondition[];
  /** Built before this image: reference, id or unique prefix; `''`: any. */
  readonly before?: string;
  /** Built after this image; `''`: any. */
  readonly since?: string;
  /** Built before; ns since epoch. */
  readonly createdBefore?: bigint;
}

type ReadEngine = Pick<ImageEngine, 'store'>;

/**
 * Images, built last first; those that do not say when come last.
 * @throws MydockerError `not-found` when `before` or `since` names none.
 */
export function listImages(engine: ReadEngine, filter: ImageFilter = {}): ImageView[] {
  const { references = [], labels = [], before = '', since = '', createdBefore } = filter;
  const patterns = references.map(patternOf);
  const beforeAt = before === '' ? undefined : findImage(engine, before).builtAt;
  const sinceAt = since === '' ? undefined : findImage(engine, since).builtAt;
  const found = engine.store.images
    .list()
    // Of one time the one that came last is the first: the sort keeps the order of equals.
    .reverse()
    .sort((a, b) => (a.builtAt === b.builtAt ? 0 : a.builtAt < b.builtAt ? 1 : -1))
    .filter(
      (image) =>
        (patterns.length === 0 || tagsOf(image).some((reference) => matches(reference, patterns))) &&
        (filter.danglingOnly !== true || tagsOf(image).length === 0) &&
        labelsMatch(image.config.labels, labels) &&
        (createdBefore === undefined || isBuiltBefore(image, createdBefore)) &&
        (beforeAt === undefined || isBuiltBefore(image, beforeAt)) &&
        (sinceAt === undefined || image.builtAt > sinceAt),
    );
  return viewImages(engine, found);
}

/**
 * Whether an image is older than that, by what it says itself, as with Docker. One that does not say is of no
 * age: a removal by age leaves it.
 */
export function isBuiltBefore({ builtAt }: ImageRecord, time: bigint): boolean {
  return builtAt !== 0n && builtAt < time;
}

/** Counts what images have to themselves and who uses them, once for all that are asked for. */
export function viewImages(engine: ReadEngine, records: readonly ImageRecord[]): ImageView[] {
  const { images, containers, layers, blobs } = engine.store;
  const owners = new Map<string, number>();
  for (const image of images.list()) {
    for (const chainId of new Set(image.layers.map((layer) => layer.chainId))) {
      owners.set(chainId, (owners.get(chainId) ?? 0) + 1);
    }
  }
  const users = new Map<string, number>();
  for (const { config } of containers.list()) {
    if (config.rootfs.kind !== 'image') continue;
    users.set(config.rootfs.imageId, (users.get(config.rootfs.imageId) ?? 0) + 1);
  }
  return records.map((record) => {
    const layerSizes = record.layers.map((layer) => layers.get(layer.chainId)?.sizeBytes ?? 0n);
    const unique = layerSizes.filter((_, i) => owners.get(record.layers[i]?.chainId ?? '') === 1);
    const { manifestDigest } = record;
    const manifest = manifestDigest === undefined ? undefined : blobs.get(manifestDigest);
    return {
      record,
      ...(manifest === undefined ? {} : { manifest }),
      layerSizes,
      uniqueSizeBytes: unique.reduce((total, size) => total + size, 0n),
      containerCount: users.get(record.id) ?? 0,
    };
  });
}

/** `*` is any characters but a slash; everything else is itself. */
function patternOf(text: string): RegExp {
  const escaped = text.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^/]*');
  return new RegExp(`^${escaped}$`);
}

/** A pattern may be meant for the short or the full form, with or without the tag. */
function matches(reference: string, patterns: readonly RegExp[]): boolean {
  const familiar = familiarReference(parseReference(reference));
  const forms = [reference, familiar].flatMap((form) => [form, form.replace(/:[^:/]*$/, '')]);
  return patterns.some((pattern) => forms.some((form) => pattern.test(form)));
}

/**
 * How an image goes to a registry: its layers, a few beside each other, then its config, then the manifest by its
 * digest, and the name last, so that at no moment something is named that is not there as a whole. What came from
 * a registry goes on as it came, with the same digests.
 */
import { failpoint } from '../failpoint.ts';
import { type Platform, platformRank, platformText } from '../image/choose-platform.ts';
import { cannot, invalidArgument, notFound } from '../model/error.ts';
import type { ImageRecord } from '../model/image.ts';
import {
  familiarReference,
  formatReference,
  parseReference,
  parseRepository,
  type Reference,
} from '../model/reference.ts';
import type { PushRepository } from '../registry/push-repository.ts';
import type { Credentials } from '../registry/token.ts';
import { blobsOf, changeLayers, type Lease } from './garbage.ts';
import type { ImageEngine } from './image-engine.ts';
import { asTransferError } from './pull-error.ts';
import { type PushProgress, sendLayers } from './push-layers.ts';
import { keptManifest, newManifest, sameLayers } from './push-manifest.ts';
import { recordNames } from './record-loaded.ts';

/** What to send. */
export interface PushRequest {
  /** Says the registry too. */
  readonly reference: string;
  /** Every tag of the repository that is here; the reference has none then. */
  readonly allTags: boolean;
  /** That the image must be for; absent: any. */
  readonly platform?: Platform;
  /** Absent: anonymous. */
  readonly credentials?: Credentials;
}

/** A reference that is there now. */
export interface PushedImage {
  /** Full. */
  readonly reference: string;
  /** Of its manifest. */
  readonly digest: string;
  readonly sizeBytes: bigint;
}

/** Told about a push while it goes on; must not wait. */
export interface PushReport {
  progress(progress: PushProgress): void;
  image(image: PushedImage): void;
}

/**
 * @param signal - ends the work; references that were reported stay.
 * @throws MydockerError `not-found` (IMAGE_NOT_FOUND), `invalid-argument` for a reference that names no tag,
 * `failed-precondition` (LAYER_NOT_KEPT); as push-repository.ts.
 */
export async function pushImage(
  engine: ImageEngine,
  request: PushRequest,
  report: PushReport,
  signal: AbortSignal,
): Promise<PushedImage[]> {
  await failpoint('push.begin');
  const pushed: PushedImage[] = [];
  for (const reference of request.allTags
    ? tagsHere(engine, request.reference)
    : [oneTag(request.reference)]) {
    const { domain, path } = reference;
    try {
      const repository = engine.registries.target(domain, path, request.credentials);
      pushed.push(await pushOne(engine, request, { reference, repository, report, signal }));
    } catch (error) {
      throw asTransferError('push', familiarReference(reference), error);
    }
    report.image(pushed.at(-1) as PushedImage);
  }
  return pushed;
}

function oneTag(text: string): Reference {
  const reference = parseReference(text);
  if (reference.digest === undefined) return reference;
  throw invalidArgument(
    `cannot push image ${familiarReference(reference)}: the digest comes from the content`,
    {
      reason: 'REFERENCE_INVALID',
      hint: 'give a name and a tag',
    },
  );
}

/** In order. */
function tagsHere({ store }: ImageEngine, text: string): Reference[] {
  const { domain, path } = parseRepository(text);
  const found = store.images
    .list()
    .flatMap(({ references }) => references)
    .filter((name) => !name.includes('@'))
    .map(parseReference)
    .filter((reference) => reference.domain === domain && reference.path === path)
    .sort((a, b) => ((a.tag ?? '') < (b.tag ?? '') ? -1 : 1));
  if (found.length > 0) return found;
  throw notFound('image', text);
}

interface Push {
  readonly reference: Reference;
  readonly repository: PushRepository;
  readonly report: PushReport;
  readonly signal: AbortSignal;
}

async function pushOne(
  engine: ImageEngine,
  { platform }: PushRequest,
  { reference, repository, report, signal }: Push,
): Promise<PushedImage> {
  // Nothing of it may go while it is sent.
  using lease = engine.garbage.lease();
  const image = await keptImage(engine, formatReference(reference), lease);
  if (platform !== undefined && platformRank(platform, image) === undefined)
    throw cannot(
      ...(['invalid-argument', 'push', 'image', familiarReference(reference)] as const),
      `it is for ${platformText(image)}, not for ${platformText(platform)}`,
      { reason: 'PLATFORM_MISSING' },
    );
  const manifest = await keptManifest(engine, image);
  const how = { repository, lease, report, signal };
  const layers = await sendLayers(engine, image, manifest?.layers, how);
  await failpoint('push.layers');
  const config = await engine.blobs.read(image.id);
  const blob = { digest: image.id, sizeBytes: config.length };
  if (!(await repository.has(blob, signal))) await repository.send(blob, inMemory(config), SILENT, signal);
  const document =
    manifest !== undefined && sameLayers(manifest.layers, layers)
      ? manifest.document
      : newManifest(blob, layers);
  await failpoint('push.config');
  await repository.put(document.digest, document, signal);
  await failpoint('push.manifest');
  await repository.put(reference.tag ?? 'latest', document, signal);
  const full = formatReference(reference);
  const { domain, path } = reference;
  const byDigest = formatReference({ domain, path, digest: document.digest });
  // Known by it from now on, also as a place that has its layers. An image that was removed meanwhile is not.
  await recordNames(engine, image.id, { references: [byDigest] });
  const attributes = { reference: full, digest: document.digest };
  await engine.store.events.append({ type: 'image.push', kind: 'image', id: image.id, attributes });
  engine.log.info({ image: image.id, ...attributes }, 'image pushed');
  return { reference: full, digest: document.digest, sizeBytes: BigInt(document.bytes.length) };
}

/** An image whose blobs cannot go before the lease does. */
async function keptImage(engine: ImageEngine, reference: string, lease: Lease): Promise<ImageRecord> {
  const { images } = engine.store;
  return await changeLayers(engine, () => {
    const id = images.idByReference(reference);
    const image = id === undefined ? undefined : images.get(id);
    if (image === undefined) throw notFound('image', familiarReference(parseReference(reference)));
    for (const digest of blobsOf(image)) lease.keep(digest);
    return Promise.resolve(image);
  });
}

function inMemory(bytes: Buffer) {
  return {
    read: async function* (from: number, to: number): AsyncGenerator<Buffer, void, undefined> {
      yield bytes.subarray(from, to);
    },
  };
}

const SILENT = { sent: () => undefined, retrying: () => undefined };

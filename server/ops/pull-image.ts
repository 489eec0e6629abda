/**
 * How an image comes from a registry: its documents first, then the layers that are not here, fetched beside
 * each other while the lower ones are unpacked, and the image recorded as `load` records one. What was fetched
 * and not used is kept for the next try.
 */
import { failpoint } from '../failpoint.ts';
import type { Platform } from '../image/choose-platform.ts';
import { platformRank } from '../image/choose-platform.ts';
import { chainIds, type Digest, digestOf, isDigest } from '../model/digest.ts';
import { notFound } from '../model/error.ts';
import type { ImageRecord } from '../model/image.ts';
import {
  familiarReference,
  formatReference,
  lookupReference,
  parseReference,
  parseRepository,
  type Reference,
} from '../model/reference.ts';
import type { ImageSource } from '../registry/image-source.ts';
import { isTransient } from '../registry/registry-error.ts';
import type { Credentials } from '../registry/token.ts';
import { fetchedLayers } from './fetch-layers.ts';
import { fetchConfig, findRemoteImage, type RemoteImage } from './find-remote-image.ts';
import { findImage, type ImageEngine } from './image-engine.ts';
import { type LayerProgress, loadLayers } from './load-layer.ts';
import { asPullError } from './pull-error.ts';
import { recordLoaded, recordNames } from './record-loaded.ts';

/** When a registry is asked; see the contract. */
export type PullPolicy = 'always' | 'missing' | 'newer' | 'never';

/** What to fetch. */
export interface PullRequest {
  readonly reference: string;
  /** Every tag of the repository; the reference has none then. */
  readonly allTags: boolean;
  /** Absent: the host's, and an image that comes alone is taken for what it is. */
  readonly platform?: Platform;
  /** Absent: anonymous. */
  readonly credentials?: Credentials;
  readonly policy: PullPolicy;
}

/** A reference that is here now. */
export interface PulledImage {
  /** Full. */
  readonly reference: string;
  readonly imageId: string;
  /** That the registry has for the reference; `''` where it was not asked. */
  readonly digest: string;
  /** It pointed at this image before. */
  readonly upToDate: boolean;
}

/** What a reference stands for. */
export interface ResolvedImage extends Pick<RemoteImage, 'layers'> {
  readonly reference: string;
  readonly manifest: { readonly mediaType: string; readonly digest: string; readonly sizeBytes: number };
}

/** What happens to a layer. */
export interface PullProgress extends Omit<LayerProgress, 'stage'> {
  readonly stage: LayerProgress['stage'] | 'waiting' | 'fetching' | 'verifying' | 'retrying';
  /** Words for people; `''`: none. */
  readonly message: string;
}

/** Told about a pull while it goes on; must not wait. */
export interface PullReport {
  resolved(image: ResolvedImage): void;
  progress(progress: PullProgress): void;
  /** Something that people should look at, while the pull goes on. */
  warning(why: string): void;
  image(image: PulledImage): void;
}

/**
 * @param signal - ends the work; images that were reported stay.
 * @throws MydockerError `not-found` (MANIFEST_NOT_FOUND, IMAGE_NOT_FOUND), `permission-denied`,
 * `unavailable`, `invalid-argument` naming what the registry sent wrong, `resource-exhausted`.
 */
export async function pullImage(
  engine: ImageEngine,
  request: PullRequest,
  report: PullReport,
  signal?: AbortSignal,
): Promise<PulledImage[]> {
  await failpoint('pull.begin');
  if (!request.allTags) {
    const reference = parseReference(request.reference);
    return [await pullOne(engine, request, reference, report, signal)];
  }
  const { domain, path } = parseRepository(request.reference);
  const pulled: PulledImage[] = [];
  const tags = await tagsOf(engine, request, { domain, path }, report, signal);
  for (const tag of tags) pulled.push(await pullOne(engine, request, { domain, path, tag }, report, signal));
  return pulled;
}

/** All tags of a repository: those that are here where its registry is not to be asked, or not there to be asked. */
async function tagsOf(
  engine: ImageEngine,
  request: PullRequest,
  repository: Pick<Reference, 'domain' | 'path'>,
  report: PullReport,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const { policy } = request;
  const prefix = `${formatReference(repository)}:`;
  const names = policy === 'never' || policy === 'newer' ? engine.store.images.list() : [];
  const here = names
    .flatMap(({ references }) => references)
    .filter((name) => name.startsWith(prefix) && !name.includes('@'))
    .map((name) => name.slice(prefix.length))
    .sort();
  if (policy === 'never' && here.length === 0) throw notFound('image', request.reference);
  if (policy === 'never') return here;
  try {
    return await sourceOf(engine, request, repository, report).tags(signal);
  } catch (error) {
    if (here.length > 0 && isTransient(error)) return here;
    throw asPullError(request.reference, error);
  }
}

async function pullOne(
  engine: ImageEngine,
  request: PullRequest,
  reference: Reference,
  report: PullReport,
  signal: AbortSignal | undefined,
): Promise<PulledImage> {
  const { policy } = request;
  const present = presentImage(engine, reference, request.platform);
  const keep = (): PulledImage => {
    const image = present ?? findImage(engine, formatReference(reference));
    return { reference: formatReference(reference), imageId: image.id, digest: '', upToDate: true };
  };
  let pulled: PulledImage;
  try {
    if (policy === 'never' || (policy === 'missing' && present !== undefined)) pulled = keep();
    else {
      const repository = sourceOf(engine, request, reference, report);
      pulled = await fetchImage(engine, { ...request, reference, repository, report, signal });
    }
  } catch (error) {
    if (policy !== 'newer' || present === undefined || !isTransient(error))
      throw asPullError(familiarReference(reference), error);
    pulled = keep();
  }
  report.image(pulled);
  return pulled;
}

function sourceOf(
  engine: ImageEngine,
  { credentials }: PullRequest,
  { domain, path }: Pick<Reference, 'domain' | 'path'>,
  report: PullReport,
): ImageSource {
  return engine.registries.source(domain, path, credentials, (why) => {
    engine.log.warn({ registry: domain, why }, 'a mirror was passed over');
    report.warning(why);
  });
}

/** What the reference points at, if that is for the platform that is asked for. */
function presentImage(
  { store }: ImageEngine,
  reference: Reference,
  platform: Platform | undefined,
): ImageRecord | undefined {
  const id = store.images.idByReference(lookupReference(reference));
  const image = id === undefined ? undefined : store.images.get(id);
  if (image === undefined || platform === undefined) return image;
  return platformRank(platform, image) === undefined ? undefined : image;
}

interface Fetch extends Omit<PullRequest, 'reference'> {
  readonly reference: Reference;
  readonly repository: ImageSource;
  readonly report: PullReport;
  readonly signal: AbortSignal | undefined;
}

async function fetchImage(engine: ImageEngine, fetch: Fetch): Promise<PulledImage> {
  const { reference, repository, report, platform, signal } = fetch;
  const { digest, tag } = reference;
  const remote = await findRemoteImage(repository, digest ?? tag ?? '', platform, signal);
  const full = formatReference(reference);
  const { mediaType, bytes } = remote.manifest;
  const manifest = { mediaType, digest: remote.manifest.digest, sizeBytes: bytes.length };
  await failpoint('pull.resolved');
  report.resolved({ reference: full, manifest, layers: remote.layers });
  const imageId = await imageIdOf(fetch, remote);
  const { images } = engine.store;
  const upToDate = images.idByReference(lookupReference(reference)) === imageId;
  // By digest alone an image gets no tag, as with Docker.
  const { domain, path } = reference;
  const byDigest = formatReference({ domain, path, digest: remote.topDigest });
  const references = digest === undefined ? [full, byDigest] : [byDigest];
  const result = { reference: full, imageId, digest: remote.topDigest, upToDate };
  const isHere = isFitting(engine, imageId, remote, platform);
  if (isHere && (await recordNames(engine, imageId, { references }))) {
    for (const { digest: layer, sizeBytes } of remote.layers) {
      const bytes = BigInt(sizeBytes);
      report.progress({ digest: layer, stage: 'present', doneBytes: bytes, totalBytes: bytes, message: '' });
    }
    return result;
  }
  await fetchParts(engine, fetch, remote, references);
  engine.log.info(
    { image: imageId, references: references.filter((name) => !name.includes('@')) },
    'image pulled',
  );
  return result;
}

/** Ours is always a sha256. */
async function imageIdOf({ repository, platform, signal }: Fetch, remote: RemoteImage): Promise<Digest> {
  const { digest } = remote.config;
  return isDigest(digest)
    ? digest
    : digestOf((await fetchConfig(repository, remote, platform, signal)).bytes);
}

/** Whether an image is here as a whole; one for another platform than was asked for is told in its own way. */
function isFitting(
  { store }: ImageEngine,
  id: Digest,
  { isChosen }: RemoteImage,
  platform: Platform | undefined,
): boolean {
  const image = store.images.get(id);
  if (image === undefined) return false;
  return isChosen || platform === undefined || platformRank(platform, image) !== undefined;
}

async function fetchParts(
  engine: ImageEngine,
  { repository, platform, report, signal }: Fetch,
  remote: RemoteImage,
  references: readonly string[],
): Promise<void> {
  // Disposed of when the image is recorded; what it kept and nobody else needs is collected then.
  using lease = engine.garbage.lease();
  const { bytes, description } = await fetchConfig(repository, remote, platform, signal);
  await failpoint('pull.config');
  const { mediaType } = remote.config;
  // Kept from here on, so that what is not fetched cannot go.
  for (const chainId of chainIds(description.diffIds)) lease.keep(chainId);
  await using fetched = fetchedLayers(
    engine,
    { repository, report, signal },
    remote.layers,
    description.diffIds,
  );
  const progress = (news: LayerProgress): void => report.progress({ ...news, message: '' });
  const layers = await loadLayers(engine, fetched.layers, { lease, report: { progress }, signal });
  signal?.throwIfAborted();
  const image = {
    ...{ description, layers, packed: engine.blobs.keepsLayers ? fetched.files() : [] },
    config: { digest: digestOf(bytes), mediaType, bytes },
    manifest: remote.manifest,
  };
  await recordLoaded(engine, lease, image, { references, verb: 'pull' });
  await failpoint('pull.done');
  fetched.consumed();
}

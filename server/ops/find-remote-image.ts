/**
 * From a name at a registry to the one image that is meant: through indexes to the manifest for the platform,
 * each document fetched by the digest that the one before gave for it, and read as what that one called it.
 */
import { hostPlatform, type Platform, platformRank, platformText } from '../image/choose-platform.ts';
import type { ImageDescription } from '../image/image-config.ts';
import {
  checkLayerType,
  type Descriptor,
  type IndexEntry,
  isAttestation,
  type Manifest,
  mediaKind,
  parseIndex,
  parseManifest,
} from '../image/oci-manifest.ts';
import { MAX_CONFIG_BYTES, parseImageConfig } from '../image/parse-image-config.ts';
import type { ContentDigest } from '../model/digest.ts';
import { invalidArgument, quoteId } from '../model/error.ts';
import type { ImageSource } from '../registry/image-source.ts';
import type { RemoteDocument } from '../registry/repository.ts';

/** Indexes in each other. */
const MAX_DEPTH = 4;
/** Documents that are fetched to find one image. */
const MAX_LOOKS = 64;

/** What the registry has for a name. */
export interface RemoteImage {
  /** Digest that the registry has for the name: of the index, or else of the manifest. */
  readonly topDigest: ContentDigest;
  /** The manifest as it came. */
  readonly manifest: RemoteDocument;
  readonly config: Descriptor;
  /** Base first. */
  readonly layers: readonly Descriptor[];
  /** Whether it was chosen from several. */
  readonly isChosen: boolean;
}

interface Found {
  readonly rank: number;
  readonly document: RemoteDocument;
  readonly manifest: Manifest;
}

/** State of one search. */
interface Search {
  readonly repository: ImageSource;
  readonly platform: Platform;
  readonly signal: AbortSignal | undefined;
  /** Platforms that were met, for the error. */
  readonly seen: Set<string>;
  looks: number;
}

/**
 * @param name - a tag, or a digest.
 * @param platform - absent: the host's.
 * @throws MydockerError `invalid-argument` (PLATFORM_MISSING, NOT_AN_IMAGE, LAYER_TYPE_UNKNOWN,
 * DOCUMENT_INVALID, JSON_INVALID, DIGEST_MISMATCH); as repository.ts.
 */
export async function findRemoteImage(
  repository: ImageSource,
  name: string,
  platform: Platform | undefined,
  signal?: AbortSignal,
): Promise<RemoteImage> {
  const top = await repository.document(name, signal);
  const search: Search = {
    ...{ repository, signal, platform: platform ?? hostPlatform() },
    ...{ seen: new Set<string>(), looks: 0 },
  };
  const document = { ...top, mediaType: typeOf(top) };
  if (mediaKind(document.mediaType) === 'manifest')
    return imageOf(document, parseManifest(document.bytes, document.mediaType), top.knownAs, false);
  const found = await searchIndex(search, parseIndex(document.bytes, document.mediaType), 1);
  if (found !== undefined) return imageOf(found.document, found.manifest, top.knownAs, true);
  const there = [...search.seen].slice(0, 20).join(', ');
  const why =
    there === '' ? 'there is no image in it' : `it is for ${there}, not for ${platformText(search.platform)}`;
  throw unfit(why, there === '' ? 'NOT_AN_IMAGE' : 'PLATFORM_MISSING');
}

/** Reads the config of an image. @throws MydockerError as repository.ts; `invalid-argument` when it does not fit. */
export async function fetchConfig(
  repository: ImageSource,
  image: RemoteImage,
  platform: Platform | undefined,
  signal?: AbortSignal,
): Promise<{ bytes: Buffer; description: ImageDescription }> {
  const bytes = await repository.smallBlob(image.config, MAX_CONFIG_BYTES, signal);
  const description = parseImageConfig(bytes);
  const { length } = description.diffIds;
  if (length !== image.layers.length)
    throw unfit(`its config has ${length} layers, its manifest ${image.layers.length}`, 'LAYERS_MISMATCH');
  // What comes alone is taken for what it is, unless another one was asked for.
  if (!image.isChosen && platform !== undefined && platformRank(platform, description) === undefined)
    throw unfit(
      `it is for ${platformText(description)}, not for ${platformText(platform)}`,
      'PLATFORM_MISSING',
    );
  return { bytes, description };
}

/** What the registry calls it, or where it says nothing of use, what it calls itself. */
function typeOf({ mediaType, bytes }: RemoteDocument): string {
  if (['index', 'manifest'].includes(mediaKind(mediaType))) return mediaType;
  const own = /"mediaType"\s*:\s*"(application\/vnd\.[\w.+-]+)"/.exec(bytes.toString('latin1'))?.[1] ?? '';
  const isVague = ['', 'application/json', 'application/octet-stream', 'text/plain'].includes(mediaType);
  if (isVague && ['index', 'manifest'].includes(mediaKind(own))) return own;
  if (/docker\.distribution\.manifest\.v1\+/.test(mediaType))
    throw unfit('it is of the schema version 1, which nobody writes any more', 'DOCUMENT_INVALID');
  throw unfit(`it is of the type ${quoteId(mediaType)}, which no image has`, 'NOT_AN_IMAGE');
}

function imageOf(
  document: RemoteDocument,
  { config, layers }: Manifest,
  topDigest: ContentDigest,
  isChosen: boolean,
): RemoteImage {
  if (mediaKind(config.mediaType) !== 'config')
    throw unfit(`it is no image, but of the type ${quoteId(config.mediaType)}`, 'NOT_AN_IMAGE');
  for (const layer of layers) checkLayerType(layer);
  return { topDigest, manifest: document, config, layers, isChosen };
}

/** The best one below an index; of equals the first. Only what may be it is fetched. */
async function searchIndex(
  search: Search,
  entries: readonly IndexEntry[],
  depth: number,
): Promise<Found | undefined> {
  if (depth > MAX_DEPTH) throw unfit(`its indexes are nested deeper than ${MAX_DEPTH}`, 'REGISTRY_LIMIT');
  const images = entries.filter(
    (entry) => ['index', 'manifest'].includes(mediaKind(entry.mediaType)) && !isAttestation(entry),
  );
  let best: { rank: number; entry: IndexEntry } | undefined;
  for (const entry of images) {
    if (entry.platform === undefined || mediaKind(entry.mediaType) !== 'manifest') continue;
    search.seen.add(platformText(entry.platform));
    const rank = platformRank(search.platform, entry.platform);
    if (rank !== undefined && rank < (best?.rank ?? Number.POSITIVE_INFINITY)) best = { rank, entry };
  }
  if (best?.rank === 0) return await look(search, best.entry, best.rank);
  let found: Found | undefined;
  for (const entry of images) {
    const isIndex = mediaKind(entry.mediaType) === 'index';
    if (!isIndex && entry.platform !== undefined) continue;
    if (entry.platform !== undefined && platformRank(search.platform, entry.platform) === undefined) continue;
    const other = isIndex ? await lookInside(search, entry, depth) : await lookUnnamed(search, entry);
    if (other !== undefined && other.rank < (found?.rank ?? Number.POSITIVE_INFINITY)) found = other;
    if (found?.rank === 0) return found;
  }
  if (best === undefined || (found !== undefined && found.rank < best.rank)) return found;
  return await look(search, best.entry, best.rank);
}

async function fetchEntry(search: Search, entry: IndexEntry): Promise<RemoteDocument> {
  search.looks += 1;
  if (search.looks > MAX_LOOKS)
    throw unfit(`more than ${MAX_LOOKS} of its documents would have to be read`, 'REGISTRY_LIMIT');
  const document = await search.repository.document(entry.digest, search.signal);
  if (document.bytes.length !== entry.sizeBytes)
    throw unfit(
      `${entry.digest} has ${document.bytes.length} bytes, its index says ${entry.sizeBytes}`,
      'SIZE_MISMATCH',
    );
  return { ...document, mediaType: entry.mediaType };
}

async function look(search: Search, entry: IndexEntry, rank: number): Promise<Found> {
  const document = await fetchEntry(search, entry);
  return { rank, document, manifest: parseManifest(document.bytes, entry.mediaType) };
}

async function lookInside(search: Search, entry: IndexEntry, depth: number): Promise<Found | undefined> {
  const { bytes } = await fetchEntry(search, entry);
  return await searchIndex(search, parseIndex(bytes, entry.mediaType), depth + 1);
}

/** An entry that does not say what it is for: its config does. */
async function lookUnnamed(search: Search, entry: IndexEntry): Promise<Found | undefined> {
  const found = await look(search, entry, 0);
  if (mediaKind(found.manifest.config.mediaType) !== 'config') return undefined;
  const bytes = await search.repository.smallBlob(found.manifest.config, MAX_CONFIG_BYTES, search.signal);
  const description = parseImageConfig(bytes);
  search.seen.add(platformText(description));
  const rank = platformRank(search.platform, description);
  return rank === undefined ? undefined : { ...found, rank };
}

function unfit(why: string, reason: string): Error {
  return invalidArgument(`cannot pull image: ${why}`, { reason, metadata: { why } });
}

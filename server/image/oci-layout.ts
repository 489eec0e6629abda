/**
 * Images of an OCI layout: from index.json through indexes within indexes, bounded, to the manifests that
 * are images, and of those for several platforms to the one that is wanted.
 * Source: OCI image-spec, image-layout.md; names as containerd and Docker write them into annotations.
 */
import { digestOf } from '../model/digest.ts';
import { invalidArgument, quoteId } from '../model/error.ts';
import { parseReference } from '../model/reference.ts';
import type { ArchiveFile, ArchiveFiles } from './archive-files.ts';
import {
  type ArchiveImage,
  type ArchiveWish,
  archiveReference,
  checkLayerCount,
  inFile,
  MAX_IMAGES,
  readConfig,
} from './archive-image.ts';
import { type Platform, platformRank, platformText } from './choose-platform.ts';
import {
  checkLayerType,
  type Descriptor,
  type IndexEntry,
  isAttestation,
  MAX_MANIFEST_BYTES,
  mediaKind,
  parseIndex,
  parseManifest,
} from './oci-manifest.ts';

/** Its name in the archive. */
export const OCI_INDEX = 'index.json';

/** Indexes in each other: index.json, an image for several platforms, and one to spare. */
const MAX_DEPTH = 4;
/** Manifests and indexes that are looked at. */
const MAX_LOOKS = 10_000;

const FULL_NAME = 'io.containerd.image.name';
const NAME = 'org.opencontainers.image.ref.name';

/** A manifest that is an image, and its platform. */
interface Candidate {
  readonly platform: Platform;
  /** Reads what it consists of; that of other platforms need not be there. */
  readonly load: () => Promise<ArchiveImage>;
}

/** State of one reading. */
interface Walk {
  readonly files: ArchiveFiles;
  readonly wish: ArchiveWish;
  looks: number;
}

/**
 * Reads index.json and what it leads to.
 * @throws MydockerError `invalid-argument` naming the document, or (PLATFORM_MISSING) the platforms there are.
 */
export async function readOciLayout(files: ArchiveFiles, wish: ArchiveWish): Promise<ArchiveImage[]> {
  const file = files.find(OCI_INDEX);
  if (file === undefined) throw unfit(`the archive has no ${OCI_INDEX}`, 'BLOB_MISSING');
  const bytes = await files.read(file, MAX_MANIFEST_BYTES);
  const entries = await inFile(OCI_INDEX, () => parseIndex(bytes));
  const walk: Walk = { files, wish, looks: 0 };
  const images = new Map<string, ArchiveImage>();
  for (const [name, group] of byName(entries)) {
    const candidates = await collect(walk, group, 1);
    const references = await inFile(OCI_INDEX, () => referencesOf(name, wish));
    for (const { load } of choose(candidates, group, wish, name)) {
      const image = await load();
      const before = images.get(image.config.digest);
      const all = new Set([...(before?.references ?? []), ...references]);
      images.set(image.config.digest, { ...(before ?? image), references: [...all] });
    }
    if (images.size > MAX_IMAGES)
      throw unfit(`there are more than ${MAX_IMAGES} images in it`, 'ARCHIVE_LIMIT');
  }
  if (images.size === 0) throw unfit('there is no image in it', 'DOCUMENT_INVALID');
  return [...images.values()];
}

/** Entries of one name are one image, perhaps for several platforms. */
function byName(entries: readonly IndexEntry[]): Map<string, IndexEntry[]> {
  const groups = new Map<string, IndexEntry[]>();
  for (const entry of entries) {
    const name = entry.annotations[FULL_NAME] ?? entry.annotations[NAME] ?? '';
    groups.set(name, [...(groups.get(name) ?? []), entry]);
  }
  return groups;
}

/** All images below some entries. What is announced and not in the archive was for another platform. */
async function collect(walk: Walk, entries: readonly IndexEntry[], depth: number): Promise<Candidate[]> {
  if (depth > MAX_DEPTH) throw unfit(`its indexes are nested deeper than ${MAX_DEPTH}`, 'ARCHIVE_LIMIT');
  const found: Candidate[] = [];
  for (const entry of entries) {
    const kind = mediaKind(entry.mediaType);
    if ((kind !== 'index' && kind !== 'manifest') || isAttestation(entry)) continue;
    walk.looks += 1;
    if (walk.looks > MAX_LOOKS) throw unfit(`it has more than ${MAX_LOOKS} manifests`, 'ARCHIVE_LIMIT');
    if (depth > 1 && walk.files.findBlob(entry.digest) === undefined) continue;
    const file = walk.files.blob(entry, kind);
    const bytes = await walk.files.read(file, MAX_MANIFEST_BYTES);
    if (kind === 'index') {
      const inner = await inFile(file.name, () => parseIndex(bytes, entry.mediaType));
      found.push(...(await collect(walk, inner, depth + 1)));
    } else {
      const candidate = await readCandidate(walk, entry, file.name, bytes);
      if (candidate !== undefined) found.push(candidate);
    }
  }
  return found;
}

/** @returns undefined for what is no image, but an artifact. */
async function readCandidate(
  { files }: Walk,
  entry: IndexEntry,
  name: string,
  bytes: Buffer,
): Promise<Candidate | undefined> {
  const manifest = await inFile(name, () => parseManifest(bytes, entry.mediaType));
  if (mediaKind(manifest.config.mediaType) !== 'config') return undefined;
  const load = async (): Promise<ArchiveImage> => {
    const configFile = await inFile(name, () => files.blob(manifest.config, 'config'));
    const [configBytes, description] = await readConfig(files, configFile);
    checkLayerCount(name, description, manifest.layers.length);
    return {
      description,
      config: { digest: configFile.digest, mediaType: manifest.config.mediaType, bytes: configBytes },
      manifest: { digest: digestOf(bytes), mediaType: entry.mediaType, bytes },
      layers: await inFile(name, () => manifest.layers.map((layer) => layerFile(files, layer))),
      references: [],
    };
  };
  if (entry.platform !== undefined) return { platform: entry.platform, load };
  // Who reads it for its platform need not read it again.
  const image = await load();
  return { platform: image.description, load: async () => image };
}

/** @throws MydockerError as {@link checkLayerType}; when it is not in the archive. */
function layerFile(files: ArchiveFiles, layer: Descriptor): ArchiveFile {
  checkLayerType(layer);
  return files.blob(layer, 'layer');
}

/** Of images with a name the best one; of images without, each that fits as well as the best. */
function choose(
  candidates: readonly Candidate[],
  group: readonly IndexEntry[],
  wish: ArchiveWish,
  name: string,
): readonly Candidate[] {
  const ranked = candidates.map((candidate) => ({
    candidate,
    rank: platformRank(wish.platform, candidate.platform) ?? Number.POSITIVE_INFINITY,
  }));
  const best = Math.min(...ranked.map(({ rank }) => rank));
  if (best < Number.POSITIVE_INFINITY) {
    const fitting = ranked.filter(({ rank }) => rank === best).map(({ candidate }) => candidate);
    return name === '' ? fitting : fitting.slice(0, 1);
  }
  const [only, ...more] = candidates;
  // It came alone and nobody asked for another one: taken for what it is, as Docker does.
  if (only !== undefined && more.length === 0 && !wish.isPlatformAsked) return [only];
  if (only === undefined && group.length > 0) {
    const types = [...new Set(group.map((entry) => quoteId(entry.mediaType)))].slice(0, 5).join(', ');
    throw unfit(`${name === '' ? 'it' : quoteId(name)} is no image (${types})`, 'NOT_AN_IMAGE');
  }
  const there = [...new Set(candidates.map(({ platform }) => platformText(platform)))]
    .slice(0, 20)
    .join(', ');
  const what = name === '' ? 'an image' : `${quoteId(name)}`;
  throw unfit(`it has ${what} for ${there}, none for ${platformText(wish.platform)}`, 'PLATFORM_MISSING');
}

/** A name without `/` and `:` is a tag alone, as the specification has it. */
function referencesOf(name: string, { defaultReference }: ArchiveWish): readonly string[] {
  if (name === '') return [];
  if (/[/:]/.test(name)) return [archiveReference(name)].filter((reference) => reference !== undefined);
  if (defaultReference === '') return [];
  const { domain, path } = parseReference(defaultReference);
  return [archiveReference(`${domain}/${path}:${name}`)].filter((reference) => reference !== undefined);
}

function unfit(why: string, reason: string): Error {
  return invalidArgument(`cannot read archive: ${why}`, { reason, metadata: { why } });
}

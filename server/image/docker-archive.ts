/**
 * The form of `docker save` before OCI, which skopeo, podman and buildah write too: manifest.json names for
 * each image its config, its layers and its tags; a layer that two images share may be a link.
 * Source: Docker image specification v1.2, "Combined Image JSON + Filesystem Changeset Format".
 */
import { digestHex } from '../model/digest.ts';
import { invalidArgument, quoteId } from '../model/error.ts';
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
import { platformRank, platformText } from './choose-platform.ts';
import { Fields } from './json-fields.ts';
import { MAX_MANIFEST_BYTES } from './oci-manifest.ts';
import { type Json, parseStrictJson } from './strict-json.ts';

/** Its name in the archive. */
export const DOCKER_MANIFEST = 'manifest.json';

const CONFIG_TYPE = 'application/vnd.docker.container.image.v1+json';
const MAX_TEXTS = 10_000;
const BLOB = /^blobs\/sha256\/([0-9a-f]{64})$/;

/**
 * Reads manifest.json and the configs that it names.
 * @throws MydockerError `invalid-argument` naming the file that is wrong or missing.
 */
export async function readDockerArchive(files: ArchiveFiles, wish: ArchiveWish): Promise<ArchiveImage[]> {
  const entries = await readManifestFile(files);
  const images: ArchiveImage[] = [];
  for (const entry of entries)
    images.push(await inFile(DOCKER_MANIFEST, () => readImage(files, entry, wish)));
  return images;
}

/** Tags by the digest of the config, for archives whose other index has none. */
export async function readDockerTags(files: ArchiveFiles): Promise<ReadonlyMap<string, readonly string[]>> {
  if (files.find(DOCKER_MANIFEST) === undefined) return new Map();
  const entries = await readManifestFile(files);
  return new Map(
    entries.flatMap((entry) => {
      const config = files.find(entry.text('Config'));
      return config === undefined ? [] : [[config.digest, referencesOf(entry)] as const];
    }),
  );
}

async function readManifestFile(files: ArchiveFiles): Promise<readonly Fields[]> {
  const file = needed(files, DOCKER_MANIFEST);
  const bytes = await files.read(file, MAX_MANIFEST_BYTES);
  return await inFile(DOCKER_MANIFEST, () => {
    // A list at the top, which only an object can hold for the reader of fields.
    const list: Json = { images: parseStrictJson(bytes) };
    const entries = new Fields(list, 'manifest').objects('images', MAX_IMAGES);
    if (entries.length === 0) throw invalid('there is no image in it');
    return entries;
  });
}

async function readImage(files: ArchiveFiles, entry: Fields, wish: ArchiveWish): Promise<ArchiveImage> {
  const configFile = needed(files, entry.text('Config'));
  const [, hex] = BLOB.exec(configFile.name) ?? [];
  if (hex !== undefined && hex !== digestHex(configFile.digest))
    throw invalid(
      `the config ${quoteId(configFile.name)} has the digest ${configFile.digest}`,
      'DIGEST_MISMATCH',
    );
  const [bytes, description] = await readConfig(files, configFile);
  const { platform, isPlatformAsked } = wish;
  if (isPlatformAsked && platformRank(platform, description) === undefined) {
    const why = `there is no image for ${platformText(platform)} in it, only for ${platformText(description)}`;
    throw invalid(why, 'PLATFORM_MISSING');
  }
  const layers = entry.texts('Layers', MAX_TEXTS).map((name) => needed(files, name));
  checkLayerCount(configFile.name, description, layers.length);
  return {
    description,
    config: { digest: configFile.digest, mediaType: CONFIG_TYPE, bytes },
    layers,
    references: referencesOf(entry),
  };
}

function referencesOf(entry: Fields): readonly string[] {
  const all = entry.texts('RepoTags', MAX_TEXTS).map(archiveReference);
  return [...new Set(all.filter((reference) => reference !== undefined))];
}

function needed(files: ArchiveFiles, name: string): ArchiveFile {
  const file = files.find(name);
  if (file !== undefined) return file;
  throw invalid(`the archive has no file ${quoteId(name)}`, 'BLOB_MISSING');
}

function invalid(why: string, reason = 'DOCUMENT_INVALID'): Error {
  return invalidArgument(`cannot read archive: ${why}`, { reason, metadata: { why } });
}

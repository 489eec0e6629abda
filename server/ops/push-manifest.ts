/** The manifest that an image is sent with: the one that it came with, or a new one for what is sent. */
import { type Descriptor, type Manifest, parseManifest } from '../image/oci-manifest.ts';
import { type ContentDigest, digestOf } from '../model/digest.ts';
import type { ImageRecord } from '../model/image.ts';
import type { SentBlob, SentDocument } from '../registry/push-repository.ts';
import type { ImageEngine } from './image-engine.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';

/** A manifest as it came. */
export interface KeptManifest extends Manifest {
  readonly document: SentDocument;
}

/**
 * @returns undefined: it came without one.
 * @throws MydockerError `data-loss` when the blob is damaged.
 */
export async function keptManifest(
  { blobs, store }: ImageEngine,
  { manifestDigest, layers, id }: ImageRecord,
): Promise<KeptManifest | undefined> {
  const record = manifestDigest === undefined ? undefined : store.blobs.get(manifestDigest);
  if (record === undefined) return undefined;
  const { digest, mediaType } = record;
  const bytes = await blobs.read(digest);
  const manifest = parseManifest(bytes, mediaType);
  // It was found right when it came; what does not fit any more is as good as none.
  if (manifest.config.digest !== id || manifest.layers.length !== layers.length) return undefined;
  return { ...manifest, document: { mediaType, digest, bytes } };
}

/** Whether a manifest says what is sent. */
export function sameLayers(manifest: readonly Descriptor[], sent: readonly Descriptor[]): boolean {
  return manifest.every(({ digest }, index) => digest === sent[index]?.digest);
}

/** The same for the same content, whoever makes it. */
export function newManifest(config: SentBlob, layers: readonly Descriptor[]): SentDocument {
  const json = {
    ...{ schemaVersion: 2, mediaType: MANIFEST },
    config: entry(CONFIG, config.digest, config.sizeBytes),
    layers: layers.map(({ mediaType, digest, sizeBytes }) => entry(mediaType, digest, sizeBytes)),
  };
  const bytes = Buffer.from(JSON.stringify(json));
  return { mediaType: MANIFEST, digest: digestOf(bytes), bytes };
}

function entry(mediaType: string, digest: ContentDigest, size: number): object {
  return { mediaType, digest, size };
}

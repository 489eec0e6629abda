/**
 * Manifests and indexes, of OCI and of Docker, which differ in their media types only. A document is read as
 * the one thing that its descriptor calls it: one that could be taken for both is refused.
 * Source: OCI image-spec, manifest.md and image-index.md; CVE-2021-41190 for what is refused.
 */
import type { ContentDigest } from '../model/digest.ts';
import { invalidArgument, quoteId } from '../model/error.ts';
import type { Platform } from './choose-platform.ts';
import { Fields } from './json-fields.ts';
import { parseStrictJson } from './strict-json.ts';

/** Largest manifest or index that is read. */
export const MAX_MANIFEST_BYTES: number = 4 * 2 ** 20;

const MAX_ENTRIES = 10_000;
const MAX_ANNOTATIONS = 1000;
const KIND = 'vnd.docker.reference.type';

/** Content by its hash. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: ContentDigest;
  readonly sizeBytes: number;
}

/** An entry of an index. */
export interface IndexEntry extends Descriptor {
  /** Absent where the index does not say. */
  readonly platform?: Platform;
  readonly annotations: Readonly<Record<string, string>>;
}

/** An image for one platform. */
export interface Manifest {
  readonly config: Descriptor;
  /** Base first. */
  readonly layers: readonly Descriptor[];
}

/** What a media type means here. */
export type MediaKind = 'index' | 'manifest' | 'config' | 'layer' | 'other';

const KINDS: readonly (readonly [MediaKind, RegExp])[] = [
  ['index', /^application\/vnd\.(?:oci\.image\.index\.v1|docker\.distribution\.manifest\.list\.v2)\+json$/],
  ['manifest', /^application\/vnd\.(?:oci\.image\.manifest\.v1|docker\.distribution\.manifest\.v2)\+json$/],
  ['config', /^application\/vnd\.(?:oci\.image\.config\.v1|docker\.container\.image\.v1)\+json$/],
  // What compresses it is seen in the bytes, so that a wrong ending does no harm.
  [
    'layer',
    /^application\/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+\w+)?|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.\w+)?)$/,
  ],
];

/** @returns what a media type stands for. */
export function mediaKind(mediaType: string): MediaKind {
  return KINDS.find(([, pattern]) => pattern.test(mediaType))?.[0] ?? 'other';
}

/**
 * @param mediaType - what the descriptor calls it; undefined for the index.json of a layout.
 * @throws MydockerError `invalid-argument` (DOCUMENT_INVALID, JSON_INVALID).
 */
export function parseIndex(bytes: Uint8Array, mediaType?: string): readonly IndexEntry[] {
  const root = openDocument(bytes, 'index', mediaType);
  if (root.has('layers') || root.has('config'))
    throw invalid('it is an index and has the parts of a manifest');
  return root.objects('manifests', MAX_ENTRIES).map(indexEntry);
}

/**
 * @param mediaType - what the descriptor calls it.
 * @throws MydockerError `invalid-argument` (DOCUMENT_INVALID, JSON_INVALID).
 */
export function parseManifest(bytes: Uint8Array, mediaType: string): Manifest {
  const root = openDocument(bytes, 'manifest', mediaType);
  if (root.has('manifests')) throw invalid('it is a manifest and has the parts of an index');
  const config = root.object('config');
  if (config === undefined) throw invalid('it has no config');
  const layers = root.objects('layers', MAX_ENTRIES).map(descriptor);
  return { config: descriptor(config), layers };
}

/** Docker keeps what is said about an image beside it, as if it were one. */
export function isAttestation({ annotations, platform }: IndexEntry): boolean {
  return (
    annotations[KIND] !== undefined || (platform?.os === 'unknown' && platform.architecture === 'unknown')
  );
}

/**
 * A layer of another type, encrypted or the memory of a stopped process, is no folder of files.
 * @throws MydockerError `invalid-argument` (LAYER_TYPE_UNKNOWN).
 */
export function checkLayerType({ mediaType, digest }: Descriptor): void {
  if (mediaKind(mediaType) === 'layer') return;
  const why = `layer ${digest} is of the type ${quoteId(mediaType)}, which no layer here has`;
  throw invalidArgument(`cannot read manifest: ${why}`, { reason: 'LAYER_TYPE_UNKNOWN', metadata: { why } });
}

function openDocument(bytes: Uint8Array, name: string, mediaType: string | undefined): Fields {
  const root = new Fields(parseStrictJson(bytes), name);
  const version = root.number('schemaVersion');
  if (version === 1) throw invalid('it has the schema version 1, which nobody writes any more');
  if (version !== 2) throw invalid('its schemaVersion is not 2');
  const own = root.text('mediaType');
  if (own === '') return root;
  if (mediaType === undefined ? mediaKind(own) !== 'index' : own !== mediaType)
    throw invalid(
      `it calls itself ${quoteId(own)}, and was announced as ${quoteId(mediaType ?? 'an index')}`,
    );
  return root;
}

function descriptor(fields: Fields): Descriptor {
  return {
    mediaType: fields.text('mediaType'),
    digest: fields.digest('digest'),
    sizeBytes: fields.size('size'),
  };
}

function indexEntry(fields: Fields): IndexEntry {
  const platform = platformOf(fields.object('platform'));
  return {
    ...descriptor(fields),
    annotations: fields.map('annotations', MAX_ANNOTATIONS),
    ...(platform === undefined ? {} : { platform }),
  };
}

function platformOf(fields: Fields | undefined): Platform | undefined {
  const architecture = fields?.text('architecture') ?? '';
  if (fields === undefined || architecture === '') return undefined;
  return { os: fields.text('os'), architecture, variant: fields.text('variant') };
}

function invalid(why: string): Error {
  return invalidArgument(`cannot read manifest: ${why}`, { reason: 'DOCUMENT_INVALID', metadata: { why } });
}

/** Images on the wire, and what a client says about an image to be made. */
import {
  type Descriptor,
  type Image,
  type ImageHistoryEntry,
  type ImageSummary,
  ImageConfig as WireConfig,
} from '../../proto/gen/mydocker/v1/images.ts';
import { type ExposedPort, type Platform, PortProtocol } from '../../proto/gen/mydocker/v1/types.ts';
import type { ImageConfig, ImageRecord } from '../model/image.ts';
import type { ImageView } from '../ops/list-images.ts';
import { toTimestamp, toTimestampOrNone } from './timestamp.ts';

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

const PROTOCOL: Readonly<Record<PortProtocol, string>> = {
  [PortProtocol.UNSPECIFIED]: 'tcp',
  [PortProtocol.TCP]: 'tcp',
  [PortProtocol.UDP]: 'udp',
  [PortProtocol.SCTP]: 'sctp',
};

export function encodeImage({ record, uniqueSizeBytes, layerSizes, containerCount }: ImageView): Image {
  return {
    id: record.id,
    rev: record.rev,
    references: [...record.references].sort(),
    repoDigests: [],
    target: encodeTarget(record),
    platform: encodePlatform(record),
    createdAt: toTimestampOrNone(record.builtAt),
    addedAt: toTimestamp(record.createdAt),
    author: record.author,
    config: encodeImageConfig(record.config),
    layers: record.layers.map(({ diffId, chainId }, index) => ({
      diffId,
      chainId,
      blob: undefined,
      sizeBytes: layerSizes[index] ?? 0n,
    })),
    sizeBytes: record.sizeBytes,
    uniqueSizeBytes,
    containerCount,
  };
}

export function encodeImageSummary({ record, uniqueSizeBytes, containerCount }: ImageView): ImageSummary {
  return {
    id: record.id,
    references: [...record.references].sort(),
    repoDigests: [],
    createdAt: toTimestampOrNone(record.builtAt),
    addedAt: toTimestamp(record.createdAt),
    sizeBytes: record.sizeBytes,
    uniqueSizeBytes,
    containerCount,
    platform: encodePlatform(record),
    labels: record.config.labels,
    rev: record.rev,
    target: encodeTarget(record),
  };
}

function encodeTarget({ manifestDigest }: ImageRecord): Descriptor | undefined {
  if (manifestDigest === undefined) return undefined;
  return { mediaType: MANIFEST_TYPE, digest: manifestDigest, sizeBytes: 0n };
}

/** Rough size of a summary in bytes. */
export function imageSummarySize({ references, labels }: ImageSummary): number {
  let chars = 512;
  for (const text of references) chars += text.length + 4;
  for (const key in labels) chars += key.length + (labels[key]?.length ?? 0) + 8;
  return chars;
}

/** Newest first; steps that made a layer have its size. */
export function encodeHistory({ record, layerSizes }: ImageView): readonly ImageHistoryEntry[] {
  let layer = 0;
  const entries = record.history.map((entry) => ({
    createdAt: toTimestampOrNone(entry.createdAt),
    createdBy: entry.createdBy,
    comment: entry.comment,
    author: '',
    emptyLayer: entry.emptyLayer,
    sizeBytes: entry.emptyLayer ? 0n : (layerSizes[layer++] ?? 0n),
    imageId: '',
    references: [] as readonly string[],
  }));
  // Of the steps only the last one is an image that is here.
  return entries
    .map((entry, index) =>
      index < entries.length - 1 ? entry : { ...entry, imageId: record.id, references: record.references },
    )
    .reverse();
}

/** What a client says about an image to be made. */
export function decodeImageConfig(config: WireConfig | undefined): ImageConfig {
  const { healthCheck, exposedPorts, ...rest } = config ?? WireConfig.fromPartial({});
  const check = healthCheck === undefined ? {} : { healthCheck };
  return { ...rest, exposedPorts: exposedPorts.map(decodePort), shell: [], ...check };
}

/** Absent and empty: the host's. */
export function decodePlatform(platform: Platform | undefined): Platform | undefined {
  return platform === undefined || platform.architecture === '' ? undefined : platform;
}

function encodePlatform({ os, architecture, variant }: ImageRecord): Platform {
  return { os, architecture, variant };
}

function encodeImageConfig(config: ImageConfig): WireConfig {
  const { shell: _, exposedPorts, ...rest } = config;
  const { healthCheck } = config;
  return { ...rest, exposedPorts: exposedPorts.flatMap(encodePort), healthCheck };
}

function decodePort({ containerPort, count, protocol }: ExposedPort): string {
  const last = containerPort + Math.max(count, 1) - 1;
  return `${containerPort}${last > containerPort ? `-${last}` : ''}/${PROTOCOL[protocol]}`;
}

/** `80/tcp`, `53/udp`, `8000-8009`; what cannot be read is left out, the image says it and nobody acts on it. */
function encodePort(text: string): ExposedPort[] {
  const [, first, last, name = 'tcp'] = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(text) ?? [];
  if (first === undefined) return [];
  const protocol = { tcp: PortProtocol.TCP, udp: PortProtocol.UDP, sctp: PortProtocol.SCTP }[name];
  const count = Number(last ?? first) - Number(first) + 1;
  return [{ containerPort: Number(first), count, protocol: protocol ?? PortProtocol.TCP }];
}

/** Images on the wire, and what a client says about an image to be made. */
import {
  type Descriptor,
  type Image,
  type ImageHistoryEntry,
  type ImageSummary,
  ImageConfig as WireConfig,
} from '../../proto/gen/mydocker/v1/images.ts';
import type { Platform } from '../../proto/gen/mydocker/v1/types.ts';
import { type ImageConfig, type ImageRecord, repoDigestsOf, tagsOf } from '../model/image.ts';
import type { InspectedImage } from '../ops/inspect-image.ts';
import type { ImageView } from '../ops/list-images.ts';
import { decodePort, encodePort } from './ports.ts';
import { toTimestamp, toTimestampOrNone } from './timestamp.ts';

export function encodeImage({ view, layerBlobs }: InspectedImage): Image {
  const { record, uniqueSizeBytes, layerSizes, containerCount } = view;
  return {
    id: record.id,
    rev: record.rev,
    references: [...tagsOf(record)].sort(),
    repoDigests: [...repoDigestsOf(record)].sort(),
    target: encodeDescriptor(view.manifest),
    platform: encodePlatform(record),
    createdAt: toTimestampOrNone(record.builtAt),
    addedAt: toTimestamp(record.createdAt),
    author: record.author,
    config: encodeImageConfig(record.config),
    layers: record.layers.map(({ diffId, chainId }, index) => ({
      diffId,
      chainId,
      blob: encodeDescriptor(layerBlobs[index]),
      sizeBytes: layerSizes[index] ?? 0n,
    })),
    sizeBytes: record.sizeBytes,
    uniqueSizeBytes,
    containerCount,
  };
}

export function encodeImageSummary(view: ImageView): ImageSummary {
  const { record, uniqueSizeBytes, containerCount } = view;
  return {
    id: record.id,
    references: [...tagsOf(record)].sort(),
    repoDigests: [...repoDigestsOf(record)].sort(),
    createdAt: toTimestampOrNone(record.builtAt),
    addedAt: toTimestamp(record.createdAt),
    sizeBytes: record.sizeBytes,
    uniqueSizeBytes,
    containerCount,
    platform: encodePlatform(record),
    labels: record.config.labels,
    rev: record.rev,
    target: encodeDescriptor(view.manifest),
  };
}

type Content = Pick<Descriptor, 'mediaType' | 'digest'> & { readonly sizeBytes: number | bigint };

function encodeDescriptor(content: Content | undefined): Descriptor | undefined {
  if (content === undefined) return undefined;
  const { mediaType, digest, sizeBytes } = content;
  return { mediaType, digest, sizeBytes: BigInt(sizeBytes) };
}

/** Rough size of a summary in bytes. */
export function imageSummarySize({ references, repoDigests, labels }: ImageSummary): number {
  let chars = 512;
  for (const text of [...references, ...repoDigests]) chars += text.length + 4;
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
      index < entries.length - 1 ? entry : { ...entry, imageId: record.id, references: tagsOf(record) },
    )
    .reverse();
}

/** What a client says about an image to be made. */
export function decodeImageConfig(config: WireConfig | undefined): ImageConfig {
  const { healthCheck, exposedPorts, ...rest } = config ?? WireConfig.fromPartial({});
  return {
    ...rest,
    exposedPorts: exposedPorts.map(decodePort),
    shell: [],
    ...(healthCheck === undefined ? {} : { healthCheck }),
  };
}

/** Absent and empty: the host's. */
export function decodePlatform(platform: Platform | undefined): Platform | undefined {
  return platform === undefined || platform.architecture === '' ? undefined : platform;
}

function encodePlatform({ os, architecture, variant }: ImageRecord): Platform {
  return { os, architecture, variant };
}

function encodeImageConfig(config: ImageConfig): WireConfig {
  const { shell: _, exposedPorts, healthCheck, ...rest } = config;
  return { ...rest, exposedPorts: exposedPorts.flatMap(encodePort), healthCheck };
}

/**
 * What an image, its layers and its blobs are as plain values: the shape that the store keeps, the image
 * operations change and a container start reads.
 */
import type { Digest } from './digest.ts';

/** How to find out whether a service works. */
export interface HealthCheck {
  /** True: none, also where the image below has one. */
  readonly disabled: boolean;
  /** Arguments of the command; a shell line has its shell before it. */
  readonly args: readonly string[];
  /** Between two checks; 0: the default, 30 s. */
  readonly intervalMs: number;
  /** After which a check counts as failed; 0: the default, 30 s. */
  readonly timeoutMs: number;
  /** Failures in a row that count; 0: the default, 3. */
  readonly retries: number;
  /** After the start, in which failures do not count; 0: none. */
  readonly startPeriodMs: number;
  /** Between two checks in that time; 0: the default, 5 s. */
  readonly startIntervalMs: number;
}

/** Defaults that an image gives to containers; the part of the OCI image config that is acted on. */
export interface ImageConfig {
  /** Goes before the command; empty is none. */
  readonly entrypoint: readonly string[];
  /** Default command; replaced by what the user gives. */
  readonly command: readonly string[];
  /** `KEY=VALUE`, in order. */
  readonly env: readonly string[];
  /** Absolute, or `''` for `/`. */
  readonly workingDir: string;
  /** A user spec (see user-spec.ts), or `''` for root. */
  readonly user: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `80/tcp`, `53/udp`; told, never acted on by itself. */
  readonly exposedPorts: readonly string[];
  /** Absolute paths inside the container. */
  readonly volumes: readonly string[];
  /** Name or number as the image has it; `''` is SIGTERM. */
  readonly stopSignal: string;
  /** Shell of the shell forms of a Dockerfile; empty is none. */
  readonly shell: readonly string[];
  /** Absent: it says nothing of it. */
  readonly healthCheck?: HealthCheck;
}

/** An empty config: what an imported root filesystem has. */
export const EMPTY_IMAGE_CONFIG: ImageConfig = {
  entrypoint: [],
  command: [],
  env: [],
  workingDir: '',
  user: '',
  labels: {},
  exposedPorts: [],
  volumes: [],
  stopSignal: '',
  shell: [],
};

/** One layer of an image, by its content and by its place on the disk. */
export interface ImageLayer {
  /** Digest of the uncompressed tar. */
  readonly diffId: Digest;
  /** Digest of the stack up to and with this layer; the key of its LayerRecord. */
  readonly chainId: Digest;
  /** `layers/<serial>/`. */
  readonly serial: bigint;
  /** Blob with its tar as it came, for whoever sends the image on; absent: it is not kept. */
  readonly packed?: Digest;
}

/** One entry of an image's history, as `history` shows it. */
export interface HistoryEntry {
  /** ns since epoch; absent when the image does not say. */
  readonly createdAt?: bigint;
  readonly createdBy: string;
  readonly comment: string;
  /** True where the step made no layer. */
  readonly emptyLayer: boolean;
}

/** An image as the store keeps it. */
export interface ImageRecord {
  /** Version of this shape. */
  readonly v: 1;
  /** Grows by one with each change; 0n before the first put. */
  readonly rev: bigint;
  /** ns since epoch: when this server got it. */
  readonly createdAt: bigint;
  /** ns since epoch. */
  readonly updatedAt: bigint;
  /** Digest of the image config: `sha256:<64 hex>`. */
  readonly id: Digest;
  /**
   * Full references that point here: by tag (`docker.io/library/busybox:latest`; none is a dangling image), and
   * by digest (`docker.io/library/busybox@sha256:…`) where it came from.
   */
  readonly references: readonly string[];
  /** Base layer first; empty for an image without files. */
  readonly layers: readonly ImageLayer[];
  readonly config: ImageConfig;
  readonly history: readonly HistoryEntry[];
  /** ns since epoch: `created` of the image config; 0n when it does not say. */
  readonly builtAt: bigint;
  readonly author: string;
  /** Go's words: `amd64`, `arm64`. */
  readonly architecture: string;
  readonly variant: string;
  readonly os: string;
  /** Bytes of all layers, unpacked. */
  readonly sizeBytes: bigint;
  /** Digest of the manifest it came with; absent where it came without one: imported, or `docker save` of old. */
  readonly manifestDigest?: Digest;
}

/** An unpacked layer as the store keeps it, by chain id. */
export interface LayerRecord {
  readonly v: 1;
  readonly rev: bigint;
  /** ns since epoch. */
  readonly createdAt: bigint;
  /** ns since epoch. */
  readonly updatedAt: bigint;
  readonly chainId: Digest;
  readonly diffId: Digest;
  /** Chain id of the stack below; absent for a base layer. */
  readonly parent?: Digest;
  /** Name of its folder, `layers/<serial>/`; never used twice. */
  readonly serial: bigint;
  /** Bytes unpacked. */
  readonly sizeBytes: bigint;
}

/** A blob kept as it came, by digest: a document, or the tar of a layer. */
export interface BlobRecord {
  readonly v: 1;
  readonly rev: bigint;
  /** ns since epoch. */
  readonly createdAt: bigint;
  /** ns since epoch. */
  readonly updatedAt: bigint;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: bigint;
}

/** References by tag: what people call an image. */
export function tagsOf({ references }: Pick<ImageRecord, 'references'>): readonly string[] {
  return references.filter((reference) => !reference.includes('@'));
}

/** References by digest: what registries called it. */
export function repoDigestsOf({ references }: Pick<ImageRecord, 'references'>): readonly string[] {
  return references.filter((reference) => reference.includes('@'));
}

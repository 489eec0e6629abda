/** An image as it was found in an archive: what its documents say, checked, and where its layers are. */
import type { Digest } from '../model/digest.ts';
import { invalidArgument, MydockerError, quoteId } from '../model/error.ts';
import { formatReference, parseReference } from '../model/reference.ts';
import type { ArchiveFile, ArchiveFiles } from './archive-files.ts';
import type { Platform } from './choose-platform.ts';
import type { ImageDescription } from './image-config.ts';
import { MAX_CONFIG_BYTES, parseImageConfig } from './parse-image-config.ts';

/** Most images of one archive. */
export const MAX_IMAGES = 1000;

/** A small document kept as it came. */
export interface KeptDocument {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/** One image of an archive. */
export interface ArchiveImage {
  readonly description: ImageDescription;
  readonly config: KeptDocument;
  /** Absent where the archive's form has none. */
  readonly manifest?: KeptDocument;
  /** One file for each diff id, base first. */
  readonly layers: readonly ArchiveFile[];
  /** Full references that shall point at it. */
  readonly references: readonly string[];
}

/** What is wanted of an archive. */
export interface ArchiveWish {
  readonly platform: Platform;
  /** Whether the client named the platform; else an image that comes alone is taken for what it is. */
  readonly isPlatformAsked: boolean;
  /** For images without a name; `''`: they get none. */
  readonly defaultReference: string;
}

/** Reads the config of an image. @throws MydockerError as {@link parseImageConfig}, naming the file. */
export async function readConfig(
  files: ArchiveFiles,
  file: ArchiveFile,
): Promise<[Buffer, ImageDescription]> {
  const bytes = await files.read(file, MAX_CONFIG_BYTES);
  return [bytes, await inFile(file.name, () => parseImageConfig(bytes))];
}

/** Puts the name of a document on what reading it throws. */
export async function inFile<T>(name: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof MydockerError) || error.metadata['file'] !== undefined) throw error;
    const { code, reason, hint, metadata } = error;
    const why = metadata['why'] ?? error.message;
    throw new MydockerError(code, `cannot read ${quoteId(name)}: ${why}`, {
      ...{ reason, cause: error, metadata: { ...metadata, why, file: quoteId(name) } },
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** @throws MydockerError `invalid-argument` when there is another number of layers than the config says. */
export function checkLayerCount(name: string, description: ImageDescription, layers: number): void {
  const { length } = description.diffIds;
  if (length === layers) return;
  const why = `its config has ${length} layers, it has ${layers}`;
  throw invalidArgument(`cannot read ${quoteId(name)}: ${why}`, {
    reason: 'LAYERS_MISMATCH',
    metadata: { why, file: quoteId(name) },
  });
}

/**
 * The full form of a name that an archive gives to an image.
 * @returns undefined for one with a digest, which comes from the content.
 * @throws MydockerError `invalid-argument` (REFERENCE_INVALID).
 */
export function archiveReference(text: string): string | undefined {
  const reference = parseReference(text);
  return reference.digest === undefined ? formatReference(reference) : undefined;
}

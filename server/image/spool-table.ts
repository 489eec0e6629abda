/**
 * What a worker found in an archive of images and wrote beside the files: a line of JSON for each name.
 * Read with suspicion: an archive that took the worker over would write it.
 */
import { type Digest, isDigest } from '../model/digest.ts';
import { internal } from '../model/error.ts';

/** A name in the archive. */
export type SpooledEntry =
  | {
      readonly kind: 'file';
      readonly name: string;
      /** Name of its content in the spool's folder. */
      readonly number: number;
      readonly digest: Digest;
      readonly sizeBytes: number;
    }
  | { readonly kind: 'symlink' | 'hardlink'; readonly name: string; readonly target: string };

/** Name of the table in the spool's folder. */
export const TABLE_NAME = 'table';
/** Most names: images of 127 layers have about 400. */
export const MAX_SPOOLED_ENTRIES = 50_000;
/** Largest table: it is parsed in the server. */
export const MAX_TABLE_BYTES: number = 4 * 2 ** 20;

/** One line of the table. */
export function encodeEntry(entry: SpooledEntry): string {
  return `${JSON.stringify(entry)}\n`;
}

/** @throws MydockerError `internal` for what no worker of ours writes. */
export function decodeTable(text: string): SpooledEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(decodeEntry);
}

function decodeEntry(line: string): SpooledEntry {
  const { kind, name, number, digest, sizeBytes, target } = JSON.parse(line) as Record<string, unknown>;
  if (typeof name !== 'string') throw nonsense();
  if (kind === 'file') {
    if (!isCount(number) || !isCount(sizeBytes) || typeof digest !== 'string' || !isDigest(digest))
      throw nonsense();
    return { kind, name, number, digest, sizeBytes };
  }
  if ((kind !== 'symlink' && kind !== 'hardlink') || typeof target !== 'string') throw nonsense();
  return { kind, name, target };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function nonsense(): Error {
  return internal('cannot read archive: the table of its files is none', { reason: 'WORKER_FAILED' });
}

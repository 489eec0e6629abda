/** Reads a whole archive into memory, for tests of the reader. */
import { ARCHIVE_LIMITS } from '../../../server/image/archive-limits.ts';
import type { TarEntry } from '../../../server/image/tar-entry.ts';
import { readTar } from '../../../server/image/tar-reader.ts';
import { sourceOf } from './unpack-here.ts';

/** An entry with its data, as latin1. */
export type Read = Omit<TarEntry, 'body'> & { readonly data: string };

/** All entries of an archive. */
export async function read(tar: Buffer, limits: typeof ARCHIVE_LIMITS = ARCHIVE_LIMITS): Promise<Read[]> {
  const entries: Read[] = [];
  for await (const entry of readTar(sourceOf(tar, limits), limits)) {
    const parts: Buffer[] = [];
    for await (const chunk of entry.body()) parts.push(Buffer.from(chunk));
    const { body, ...head } = entry;
    entries.push({ ...head, data: Buffer.concat(parts).toString('latin1') });
  }
  return entries;
}

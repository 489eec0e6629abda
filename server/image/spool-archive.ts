/**
 * The worker's side of reading an archive of images: every file of it becomes a file with a number, its
 * digest taken while it is written, and its name a line of a table. No name of the archive touches the disk.
 */
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, openSync, writeFileSync, writeSync } from 'node:fs';
import { digestHash } from '../model/digest.ts';
import { archiveError, archiveLimit, printableName } from './archive-error.ts';
import type { ArchiveLimits } from './archive-limits.ts';
import { ARCHIVE_READ_BYTES, ByteSource } from './byte-source.ts';
import { decompress } from './decompress.ts';
import {
  encodeEntry,
  MAX_SPOOLED_ENTRIES,
  MAX_TABLE_BYTES,
  type SpooledEntry,
  TABLE_NAME,
} from './spool-table.ts';
import type { TarEntry } from './tar-entry.ts';
import { readTar } from './tar-reader.ts';

/** Answer to `spool`. */
export interface SpoolResult {
  /** Names in the table. */
  readonly entries: number;
  /** Bytes of the archive uncompressed. */
  readonly unpackedBytes: number;
}

/**
 * Reads the archive to its end. Nothing is synced: what is spooled is used at once or not at all.
 * @param archiveFd - the archive, plain or compressed.
 * @param folderFd - an empty folder.
 * @throws MydockerError as readTar, or `resource-exhausted` (ARCHIVE_LIMIT).
 */
export async function spoolArchive(
  archiveFd: number,
  folderFd: number,
  limits: ArchiveLimits,
): Promise<SpoolResult> {
  const folder = `/proc/self/fd/${folderFd}`;
  const input = createReadStream('', { fd: archiveFd, highWaterMark: ARCHIVE_READ_BYTES });
  const archive = new ByteSource(input, { maxBytes: limits.unpackedBytes });
  const { bytes } = await decompress(archive);
  const tar = new ByteSource(bytes, { maxBytes: limits.unpackedBytes });
  const lines: string[] = [];
  let tableBytes = 0;
  for await (const entry of readTar(tar, { ...limits, entries: MAX_SPOOLED_ENTRIES })) {
    const line = encodeEntryOf(await spoolEntry(entry, folder, lines.length));
    tableBytes += line.length;
    if (tableBytes > MAX_TABLE_BYTES)
      throw archiveLimit(entry.name, `the names up to here have more than ${MAX_TABLE_BYTES} bytes`);
    if (line !== '') lines.push(line);
  }
  writeFileSync(`${folder}/${TABLE_NAME}`, lines.join(''), { flag: 'wx' });
  return { entries: lines.length, unpackedBytes: tar.received };
}

function encodeEntryOf(entry: SpooledEntry | undefined): string {
  return entry === undefined ? '' : encodeEntry(entry);
}

/** @returns undefined for what says nothing: folders, and what no archive of images has. */
async function spoolEntry(
  entry: TarEntry,
  folder: string,
  number: number,
): Promise<SpooledEntry | undefined> {
  const name = printableName(entry.name);
  if (entry.kind === 'symlink' || entry.kind === 'hardlink')
    return { kind: entry.kind, name, target: printableName(entry.linkName) };
  if (entry.kind !== 'file') return undefined;
  if (entry.sparse !== undefined) throw archiveError(entry.name, 'it is sparse, which no file here may be');
  const hash = createHash('sha256');
  const fd = openSync(`${folder}/${number}`, 'wx', 0o600);
  try {
    for await (const chunk of entry.body()) {
      hash.update(chunk);
      for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
    }
  } finally {
    closeSync(fd);
  }
  return { kind: 'file', name, number, digest: digestHash(hash), sizeBytes: entry.storedBytes };
}

/**
 * Finds damaged blocks in LevelDB's sorted tables before LevelDB reads them. It does not verify their
 * checksums itself, and where a damaged block comes into a compaction or a repair, keys out of order end the
 * whole process by an assertion, at every start again.
 *
 * A table: blocks, each followed by its compression (1 byte) and the masked CRC-32C of both; at the end a
 * footer of 48 bytes that points to two blocks whose values point to others: the index to the data, the metaindex
 * to the filter.
 * Source: doc/table_format.md of LevelDB.
 */
import { open, readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { uncompress } from 'snappyjs';

const FOOTER_BYTES = 48;
const MAGIC = 0xdb4775248b80fb57n;
/** Compression and checksum behind each block. */
const TRAILER_BYTES = 5;
const NO_COMPRESSION = 0;
const SNAPPY = 1;
/** A compression that nobody knows: LevelDB does without such a block, and loses only that. */
const UNREADABLE = 0xff;

/** One table that is not as it was written. */
export interface TableDamage {
  readonly path: string;
  /** The damaged blocks; absent where no block can be reached. */
  readonly blocks?: readonly Handle[];
}

/** Where a block is; its trailer comes behind. */
interface Handle {
  readonly offset: number;
  readonly size: number;
}

/**
 * Reads all tables of a database that nobody has open, some milliseconds for each megabyte.
 * @param location - the database's folder.
 */
export async function findTableDamage(location: string): Promise<TableDamage[]> {
  const found: TableDamage[] = [];
  for (const name of await readdir(location)) {
    if (!/^\d+\.(?:ldb|sst)$/.test(name)) continue;
    const path = join(location, name);
    const blocks = damagedBlocks(await readFile(path));
    if (blocks === undefined) found.push({ path });
    else if (blocks.length > 0) found.push({ path, blocks });
  }
  return found;
}

/**
 * Makes LevelDB's repair pass over what is damaged: it keeps every whole block of a table and stumbles over none.
 * The caller has a copy of the folder.
 */
export async function fenceOff(damages: readonly TableDamage[]): Promise<void> {
  for (const { path, blocks } of damages) {
    if (blocks === undefined) {
      await unlink(path);
      continue;
    }
    const table = await readFile(path);
    await using file = await open(path, 'r+');
    for (const { offset, size } of blocks) {
      const end = offset + size;
      table[end] = UNREADABLE;
      // A filter stays as it is from now on, and counts as whole.
      table.writeUInt32LE(checksum(table, { offset, size }), end + 1);
      await file.write(table, end, TRAILER_BYTES, end);
    }
    await file.sync();
  }
}

/** @returns undefined for a table that has no readable index. */
function damagedBlocks(table: Buffer): Handle[] | undefined {
  if (table.length < FOOTER_BYTES) return undefined;
  const footer = table.subarray(-FOOTER_BYTES);
  if (footer.readBigUInt64LE(FOOTER_BYTES - 8) !== MAGIC) return undefined;
  try {
    const handles = cursor(footer);
    const metaindex = handle(handles);
    const index = handle(handles);
    if (!isWhole(table, index)) return undefined;
    const blocks = [metaindex, ...indexed(content(table, index))];
    if (isWhole(table, metaindex) && table[metaindex.offset + metaindex.size] !== UNREADABLE)
      blocks.push(...indexed(content(table, metaindex)));
    return blocks.filter((block) => !isWhole(table, block));
  } catch {
    return undefined;
  }
}

function isWhole(table: Buffer, block: Handle): boolean {
  const end = block.offset + block.size;
  if (end + TRAILER_BYTES > table.length - FOOTER_BYTES) throw new RangeError('a block beyond the table');
  return table.readUInt32LE(end + 1) === checksum(table, block);
}

const checksum = (table: Buffer, { offset, size }: Handle): number =>
  masked(crc32c(table.subarray(offset, offset + size + 1)));

function content(table: Buffer, { offset, size }: Handle): Buffer {
  const bytes = table.subarray(offset, offset + size);
  const compression = table[offset + size];
  if (compression === NO_COMPRESSION) return bytes;
  if (compression === SNAPPY) return Buffer.from(uncompress(bytes));
  throw new RangeError('an unknown compression');
}

/** Entries: shared and own length of the key, length of the value, own part of the key, the value: a handle. */
function* indexed(block: Buffer): Generator<Handle> {
  const restarts = block.readUInt32LE(block.length - 4);
  const entries = cursor(block.subarray(0, block.length - 4 - 4 * restarts));
  while (entries.at < entries.bytes.length) {
    varint(entries);
    const keyBytes = varint(entries);
    const valueBytes = varint(entries);
    entries.at += keyBytes;
    yield handle(cursor(entries.bytes.subarray(entries.at, entries.at + valueBytes)));
    entries.at += valueBytes;
  }
}

interface Cursor {
  readonly bytes: Buffer;
  at: number;
}

const cursor = (bytes: Buffer): Cursor => ({ bytes, at: 0 });

const handle = (from: Cursor): Handle => ({ offset: varint(from), size: varint(from) });

/** Of tables of some megabytes, so that a number is enough. */
function varint(from: Cursor): number {
  let value = 0;
  for (let scale = 1; ; scale *= 0x80) {
    const byte = from.bytes[from.at];
    if (byte === undefined || scale > 2 ** 42) throw new RangeError('a number without end');
    from.at += 1;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
  }
}

/** As LevelDB stores checksums, so that one of bytes that hold checksums is still a good one. */
const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

/** Castagnoli's polynomial, reversed; zlib has the other one only. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i += 1) {
    crc = (CRC_TABLE[(crc ^ (bytes[i] as number)) & 0xff] as number) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

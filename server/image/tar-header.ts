/**
 * The tar formats' codec: one 512-byte header block and the body of a PAX header, without any I/O.
 *
 * Ours because npm's parsers (tar, tar-stream, modern-tar) hand out names as decoded text, which cannot
 * name a file that is not UTF-8, know no sparse files, and do not bound what a header may claim.
 * Source: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual, "Basic Tar".
 */
import { TarFormatError } from './archive-error.ts';

/** Bytes of a block; everything in a tar is padded to it. */
export const BLOCK_BYTES = 512;

/** Type flags that have a meaning here, as the byte in the header. */
export const TYPE = {
  regularOld: 0x00,
  regular: 0x30,
  hardlink: 0x31,
  symlink: 0x32,
  charDevice: 0x33,
  blockDevice: 0x34,
  directory: 0x35,
  fifo: 0x36,
  contiguous: 0x37,
  gnuSparse: 0x53,
  gnuLongLink: 0x4b,
  gnuLongName: 0x4c,
  gnuVolume: 0x56,
  paxGlobal: 0x67,
  pax: 0x78,
} as const;

/** Which dialect a header is in: it decides where the name's prefix and the sparse map are. */
export type TarFormat = 'v7' | 'ustar' | 'star' | 'gnu';

/** A header block as it stands, before any PAX or GNU header changes it. */
export interface TarHeader {
  readonly format: TarFormat;
  readonly type: number;
  readonly name: Buffer;
  readonly linkName: Buffer;
  /** Permission bits, setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: bigint;
  readonly gid: bigint;
  readonly sizeBytes: bigint;
  /** ns since epoch; may be negative. */
  readonly mtimeNs: bigint;
  readonly deviceMajor: bigint;
  readonly deviceMinor: bigint;
  /** The block itself, for the sparse map. */
  readonly block: Buffer;
}

/** One record of a PAX header; the key's bytes as latin1, since a name of an attribute is bytes too. */
export interface PaxRecord {
  readonly key: string;
  readonly value: Buffer;
}

/** Whether a block is all zero: two of them end the archive. */
export function isZeroBlock(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

/**
 * @param block - 512 bytes, not all zero, whose checksum is right.
 * @throws TarFormatError when a number is not one.
 */
export function parseHeader(block: Buffer): TarHeader {
  const format = formatOf(block);
  const prefixEnd = format === 'ustar' ? 500 : format === 'star' ? 476 : 345;
  const prefix = untilNul(block.subarray(345, prefixEnd));
  const name = nameField(block);
  const hasDevice = format !== 'v7';
  return {
    format,
    type: block[156] ?? 0,
    name: prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]),
    linkName: untilNul(block.subarray(157, 257)),
    mode: Number(parseNumber(block.subarray(100, 108), 'mode') & 0o7777n),
    uid: parseNumber(block.subarray(108, 116), 'uid'),
    gid: parseNumber(block.subarray(116, 124), 'gid'),
    sizeBytes: parseNumber(block.subarray(124, 136), 'size'),
    mtimeNs: parseNumber(block.subarray(136, 148), 'mtime') * 1_000_000_000n,
    deviceMajor: hasDevice ? parseNumber(block.subarray(329, 337), 'devmajor') : 0n,
    deviceMinor: hasDevice ? parseNumber(block.subarray(337, 345), 'devminor') : 0n,
    block,
  };
}

/**
 * What is wrong with the checksum of a block, if anything. Signed and unsigned sums are both in use; the
 * field itself counts as spaces.
 */
export function checksumFault(block: Buffer): string | undefined {
  const text = untilNul(block.subarray(148, 156)).toString('latin1').trim();
  if (text === '') return 'its checksum is blank';
  let unsigned = 0;
  let signed = 0;
  for (let i = 0; i < BLOCK_BYTES; i += 1) {
    const byte = i >= 148 && i < 156 ? 0x20 : (block[i] ?? 0);
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const stored = /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
  return stored === unsigned || stored === signed ? undefined : 'its header has a wrong checksum';
}

function formatOf(block: Buffer): TarFormat {
  const magic = block.toString('latin1', 257, 265);
  if (magic === 'ustar  \0') return 'gnu';
  if (!magic.startsWith('ustar\0')) return 'v7';
  return block.toString('latin1', 508, 512) === 'tar\0' ? 'star' : 'ustar';
}

/** Name of a header that could not be parsed, for messages. */
export function nameField(block: Buffer): Buffer {
  return untilNul(block.subarray(0, 100));
}

/** A text field: up to the first NUL or its end. The bytes are a copy, the block may be reused. */
function untilNul(field: Buffer): Buffer {
  const end = field.indexOf(0);
  return Buffer.from(field.subarray(0, end < 0 ? field.length : end));
}

/**
 * A number field: octal text, or base-256 (two's complement) when the first bit is set.
 * @throws TarFormatError naming the field.
 */
export function parseNumber(field: Buffer, what: string): bigint {
  const first = field[0] ?? 0;
  if ((first & 0x80) !== 0) {
    let value = (first & 0x40) === 0 ? BigInt(first & 0x3f) : BigInt(first & 0x7f) - 0x80n;
    for (const byte of field.subarray(1)) value = value * 256n + BigInt(byte);
    return value;
  }
  const text = field
    .toString('latin1')
    .replace(/^[ \0]+/, '')
    .replace(/\0.*$/s, '')
    .trimEnd();
  if (text === '') return 0n;
  if (!/^[0-7]+$/.test(text)) throw new TarFormatError(`its ${what} is not a number`);
  return BigInt(`0o${text}`);
}

/**
 * The body of a PAX header: records of `LENGTH KEY=VALUE\n`, in order, duplicates kept.
 * @throws TarFormatError for anything that is not exactly that; a reader that skipped over a broken record
 * would see another archive than its neighbour.
 */
export function parsePaxRecords(body: Buffer): PaxRecord[] {
  const records: PaxRecord[] = [];
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(0x20, at);
    const digits = space < 0 || space - at > 10 ? '' : body.toString('latin1', at, space);
    const length = /^[1-9]\d*$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    if (length === 0 || end > body.length || end <= space + 1 || body[end - 1] !== 0x0a) {
      throw new TarFormatError('its PAX header has a record of a wrong length');
    }
    const equals = body.indexOf(0x3d, space + 1);
    if (equals <= space + 1 || equals >= end)
      throw new TarFormatError('its PAX header has a record without a key');
    const key = body.toString('latin1', space + 1, equals);
    if (key.includes('\0')) throw new TarFormatError('its PAX header has a key with a NUL');
    records.push({ key, value: Buffer.from(body.subarray(equals + 1, end - 1)) });
    at = end;
  }
  return records;
}

/**
 * A PAX decimal without sign or fraction.
 * @throws TarFormatError naming the key.
 */
export function parsePaxInteger(value: Buffer, key: string): bigint {
  const text = value.toString('latin1');
  if (!/^\d{1,20}$/.test(text)) throw new TarFormatError(`its PAX ${key} is not a number`);
  return BigInt(text);
}

/**
 * A PAX time: seconds, perhaps negative, perhaps with a fraction; digits past the ninth are cut off.
 * @returns ns since epoch.
 * @throws TarFormatError for anything else and for seconds past 2^62.
 */
export function parsePaxTime(value: Buffer, key: string): bigint {
  const match = /^(-?)(\d{1,19})(?:\.(\d*))?$/.exec(value.toString('latin1'));
  if (match === null) throw new TarFormatError(`its PAX ${key} is not a time`);
  const seconds = BigInt(match[2] ?? '');
  if (seconds > 2n ** 62n) throw new TarFormatError(`its PAX ${key} is out of range`);
  const nanos = BigInt((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
  const time = seconds * 1_000_000_000n + nanos;
  return match[1] === '-' ? -time : time;
}

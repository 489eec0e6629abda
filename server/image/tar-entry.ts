/**
 * One entry of an archive after its header, the PAX and GNU headers before it and the global ones were
 * put together: which of them wins is decided here and nowhere else, so that no two readers of ours can
 * see different archives.
 */
import { TarFormatError } from './archive-error.ts';
import type { ArchiveLimits } from './archive-limits.ts';
import { type PaxRecord, parsePaxInteger, parsePaxTime, type TarHeader, TYPE } from './tar-header.ts';
import type { SparseMap } from './tar-sparse.ts';

/** What an entry makes. */
export type EntryKind = 'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo';

/** What is known of an entry before its data. */
export interface EntryHead {
  readonly kind: EntryKind;
  /** As the archive has it: bytes, perhaps absolute, perhaps with `..`. */
  readonly name: Buffer;
  /** Target of a link; empty for other kinds. */
  readonly linkName: Buffer;
  /** Permission bits, setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** ns since epoch. */
  readonly mtimeNs: bigint;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** Bytes of data that follow in the archive; 0 for all but files. */
  readonly storedBytes: number;
  /** Extended attributes; the name's bytes as latin1. */
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

/** An entry with its data. */
export interface TarEntry extends EntryHead {
  /** Where the data of a sparse file goes. */
  readonly sparse?: SparseMap;
  /** The data, `storedBytes` in all; chunks are valid until the next is asked for. What is not read is skipped. */
  body(): AsyncGenerator<Buffer, void, undefined>;
}

/** What the headers before an entry said. */
export interface PendingHeaders {
  readonly pax?: readonly PaxRecord[];
  readonly longName?: Buffer;
  readonly longLink?: Buffer;
}

const XATTR_PREFIX = 'SCHILY.xattr.';

/** Keys that make sense for a single entry only; in a global header they would rename or resize every one. */
const SINGLE_ENTRY_KEYS = /^(?:path|linkpath|size|GNU\.sparse\..*|SCHILY\.xattr\..*)$/s;

/**
 * @param globals - records of the global headers so far.
 * @throws TarFormatError when they say what only one entry can be told.
 */
export function checkGlobalRecords(globals: readonly PaxRecord[]): void {
  const bad = globals.find((record) => SINGLE_ENTRY_KEYS.test(record.key));
  if (bad !== undefined)
    throw new TarFormatError(`a global PAX header sets ${bad.key.slice(0, 40)} for every entry`);
}

/** The name that an entry will have: PAX sparse name, PAX path, GNU long name, header, the first that is there. */
export function entryName(header: TarHeader, pending: PendingHeaders): Buffer {
  const pax = paxValue(pending.pax, 'GNU.sparse.name') ?? paxValue(pending.pax, 'path');
  return pax ?? pending.longName ?? header.name;
}

/**
 * Puts the headers together.
 * @throws TarFormatError when they contradict each other, or say what cannot be.
 */
export function mergeHeaders(
  header: TarHeader,
  pending: PendingHeaders,
  globals: readonly PaxRecord[],
  limits: ArchiveLimits,
): EntryHead {
  const { pax } = pending;
  const path = paxValue(pax, 'path');
  const linkPath = paxValue(pax, 'linkpath');
  if (
    (path !== undefined && pending.longName !== undefined) ||
    (linkPath !== undefined && pending.longLink !== undefined)
  ) {
    throw new TarFormatError('it has both a PAX and a GNU long name');
  }
  const name = entryName(header, pending);
  const linkName = linkPath ?? pending.longLink ?? header.linkName;
  for (const text of [name, linkName]) {
    if (text.includes(0)) throw new TarFormatError('its name or link target has a NUL in it');
  }
  if (linkName.length > limits.pathBytes) {
    throw new TarFormatError(`its link target is longer than ${limits.pathBytes} bytes`);
  }
  // The PAX size always wins: a reader that took the header's would find other entries in the same bytes.
  const sizeText = paxValue(pax, 'size');
  const size = sizeText === undefined ? header.sizeBytes : parsePaxInteger(sizeText, 'size');
  if (size < 0n || size > BigInt(Number.MAX_SAFE_INTEGER))
    throw new TarFormatError('its size is out of range');
  const kind = kindOf(header, name, size);
  const isDevice = kind === 'char' || kind === 'block';
  const mtime = paxValue(pax, 'mtime') ?? paxValue(globals, 'mtime');
  return {
    kind,
    name,
    linkName: kind === 'symlink' || kind === 'hardlink' ? linkName : Buffer.alloc(0),
    mode: header.mode,
    uid: owner(paxValue(pax, 'uid') ?? paxValue(globals, 'uid'), header.uid, 'uid'),
    gid: owner(paxValue(pax, 'gid') ?? paxValue(globals, 'gid'), header.gid, 'gid'),
    mtimeNs: mtime === undefined ? checkTime(header.mtimeNs) : parsePaxTime(mtime, 'mtime'),
    deviceMajor: isDevice ? inRange(header.deviceMajor, 4095, 'device major') : 0,
    deviceMinor: isDevice ? inRange(header.deviceMinor, 0xfffff, 'device minor') : 0,
    // A hard link's data, if any, went with the first name; that is how GNU tar and others read it.
    storedBytes: kind === 'file' ? Number(size) : 0,
    xattrs: xattrsOf(pax),
  };
}

/** Value of the last record of a key; an empty one unsets the key, as POSIX has it. */
function paxValue(records: readonly PaxRecord[] | undefined, key: string): Buffer | undefined {
  const value = records?.findLast((record) => record.key === key)?.value;
  return value === undefined || value.length === 0 ? undefined : value;
}

function kindOf(header: TarHeader, name: Buffer, size: bigint): EntryKind {
  // Writers older than POSIX mark a directory by its trailing slash.
  const slash = name.at(-1) === 0x2f;
  const kind = slash && isFileType(header.type) ? 'directory' : KINDS.get(header.type);
  if (kind === undefined) {
    const flag = JSON.stringify(String.fromCharCode(header.type));
    throw new TarFormatError(`its type ${flag} is not supported`);
  }
  if (kind !== 'file' && kind !== 'hardlink' && size !== 0n) {
    throw new TarFormatError('it has a size though it is no file');
  }
  return kind;
}

function isFileType(type: number): boolean {
  return KINDS.get(type) === 'file';
}

const KINDS: ReadonlyMap<number, EntryKind> = new Map([
  [TYPE.regularOld, 'file'],
  [TYPE.regular, 'file'],
  [TYPE.contiguous, 'file'],
  [TYPE.gnuSparse, 'file'],
  [TYPE.hardlink, 'hardlink'],
  [TYPE.symlink, 'symlink'],
  [TYPE.charDevice, 'char'],
  [TYPE.blockDevice, 'block'],
  [TYPE.directory, 'directory'],
  [TYPE.fifo, 'fifo'],
]);

/** 2^32 - 1 is left out: to the kernel it means "do not change". */
function owner(pax: Buffer | undefined, header: bigint, what: string): number {
  return inRange(pax === undefined ? header : parsePaxInteger(pax, what), 0xfffffffe, what);
}

function inRange(value: bigint, max: number, what: string): number {
  if (value < 0n || value > BigInt(max)) throw new TarFormatError(`its ${what} ${value} is out of range`);
  return Number(value);
}

function checkTime(timeNs: bigint): bigint {
  const limit = 2n ** 62n * 1_000_000_000n;
  if (timeNs > limit || timeNs < -limit) throw new TarFormatError('its mtime is out of range');
  return timeNs;
}

function xattrsOf(records: readonly PaxRecord[] | undefined): ReadonlyMap<string, Buffer> {
  const xattrs = new Map<string, Buffer>();
  for (const { key, value } of records ?? []) {
    if (!key.startsWith(XATTR_PREFIX)) continue;
    const name = key.slice(XATTR_PREFIX.length);
    if (name === '') throw new TarFormatError('it has an extended attribute without a name');
    xattrs.set(name, value);
  }
  return xattrs;
}

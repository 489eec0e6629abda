/**
 * An archive as a sequence of entries: reads headers, collects what they say of the entry that follows,
 * and hands out one entry at a time with its data as a stream. Strict: what two readers could understand
 * differently is refused, not guessed.
 */
import { MydockerError } from '../model/error.ts';
import { archiveError, archiveLimit, TarFormatError } from './archive-error.ts';
import type { ArchiveLimits } from './archive-limits.ts';
import type { ByteSource } from './byte-source.ts';
import {
  checkGlobalRecords,
  entryName,
  mergeHeaders,
  type PendingHeaders,
  type TarEntry,
} from './tar-entry.ts';
import {
  BLOCK_BYTES,
  checksumFault,
  isZeroBlock,
  nameField,
  type PaxRecord,
  parseHeader,
  parsePaxRecords,
  type TarHeader,
  TYPE,
} from './tar-header.ts';
import { checkSparseMap, paxSparse, readOldGnuMap, readPaxMap, type SparseMap } from './tar-sparse.ts';

/** Global records that are acted on. */
const GLOBAL_KEYS: ReadonlySet<string> = new Set(['mtime', 'uid', 'gid']);

/** How an archive is read. */
export interface ReadOptions {
  /**
   * The archive may end without its end marker, and without the padding of its last entry, as some writers
   * leave it: for whoever compares a digest, which finds what was cut off. Default false.
   */
  readonly mayLackEnd?: boolean;
}

/** What the reader remembers between headers. */
interface ReaderState {
  readonly mayLackEnd: boolean;
  pending: PendingHeaders;
  /** Bytes of the headers in `pending`. */
  pendingBytes: number;
  globals: PaxRecord[];
  headers: number;
  /** Name of the entry before, to say where a broken header is. */
  previous: Buffer | undefined;
}

/**
 * Entries of an archive, in order. The source is read to its end: what follows the end marker counts for
 * the digest and is otherwise ignored, a second archive too.
 * @throws MydockerError `invalid-argument` (reason ARCHIVE_INVALID, ARCHIVE_TRUNCATED) or
 * `resource-exhausted` (ARCHIVE_LIMIT), naming the entry.
 */
export async function* readTar(
  source: ByteSource,
  limits: ArchiveLimits,
  { mayLackEnd = false }: ReadOptions = {},
): AsyncGenerator<TarEntry, void, undefined> {
  const state: ReaderState = {
    mayLackEnd,
    pending: {},
    pendingBytes: 0,
    globals: [],
    headers: 0,
    previous: undefined,
  };
  for (;;) {
    const header = await nextHeader(source, state);
    if (header === undefined) break;
    state.headers += 1;
    if (state.headers > limits.entries)
      throw archiveLimit(header.name, `there are more than ${limits.entries} entries`);
    const isEntry = await naming(header.name, () => collect(source, header, state, limits));
    if (!isEntry) continue;
    const { pending } = state;
    state.pending = {};
    state.pendingBytes = 0;
    const name = entryName(header, pending);
    state.previous = name;
    const data = await naming(name, () => openEntry(source, header, pending, state, limits));
    yield data.entry;
    await naming(name, data.finish);
  }
  await source.drain();
}

/** @returns undefined at the end marker. */
async function nextHeader(source: ByteSource, state: ReaderState): Promise<TarHeader | undefined> {
  const where = state.previous;
  const block = await naming(where, () => source.read(BLOCK_BYTES));
  if (block === undefined) {
    if (state.mayLackEnd && !hasPending(state.pending)) return undefined;
    throw archiveError(where, 'the archive ends here, without the blocks of zeros that mark its end', {
      reason: 'ARCHIVE_TRUNCATED',
      hint: 'the file or the transfer was cut off; get it again',
    });
  }
  if (!isZeroBlock(block)) {
    const fault = checksumFault(block);
    if (fault === undefined)
      return await naming(nameField(block), async () => parseHeader(Buffer.from(block)));
    if (state.headers > 0) throw archiveError(where, `what follows it is no entry: ${fault}`);
    throw archiveError(undefined, 'it is not a tar archive', {
      reason: 'ARCHIVE_UNKNOWN_FORMAT',
      hint: 'a root filesystem is imported as tar, plain or compressed with gzip or zstd',
    });
  }
  if (hasPending(state.pending))
    throw archiveError(where, 'after it the archive ends with a header for no entry');
  const second = await source.read(BLOCK_BYTES);
  if (second !== undefined && !isZeroBlock(second)) {
    throw archiveError(where, 'after it there is a lone block of zeros in the middle of the archive');
  }
  return undefined;
}

function hasPending(pending: PendingHeaders): boolean {
  return pending.pax !== undefined || pending.longName !== undefined || pending.longLink !== undefined;
}

/**
 * Takes a header that describes others.
 * @returns whether it is an entry of its own.
 */
async function collect(
  source: ByteSource,
  header: TarHeader,
  state: ReaderState,
  limits: ArchiveLimits,
): Promise<boolean> {
  const { pending } = state;
  switch (header.type) {
    case TYPE.pax:
      if (pending.pax !== undefined) throw new TarFormatError('it has two PAX headers');
      state.pending = { ...pending, pax: parsePaxRecords(await headerBody(source, header, state, limits)) };
      return false;
    case TYPE.gnuLongName:
      if (pending.longName !== undefined) throw new TarFormatError('it has two GNU long names');
      state.pending = { ...pending, longName: gnuText(await headerBody(source, header, state, limits)) };
      return false;
    case TYPE.gnuLongLink:
      if (pending.longLink !== undefined) throw new TarFormatError('it has two GNU long link targets');
      state.pending = { ...pending, longLink: gnuText(await headerBody(source, header, state, limits)) };
      return false;
    case TYPE.paxGlobal: {
      if (hasPending(pending))
        throw new TarFormatError('a global PAX header stands between an entry and its headers');
      const records = parsePaxRecords(await headerBody(source, header, state, limits));
      checkGlobalRecords(records);
      state.pendingBytes = 0;
      // What we do not act on is not kept, so that many global headers cannot pile up.
      const kept = records.filter((record) => GLOBAL_KEYS.has(record.key));
      state.globals = [...new Map([...state.globals, ...kept].map((r) => [r.key, r])).values()];
      return false;
    }
    case TYPE.gnuVolume:
      await headerBody(source, header, state, limits);
      state.pendingBytes = 0;
      return false;
    default:
      return true;
  }
}

async function headerBody(
  source: ByteSource,
  header: TarHeader,
  state: ReaderState,
  limits: ArchiveLimits,
): Promise<Buffer> {
  const size = Number(header.sizeBytes);
  state.pendingBytes += size;
  if (size < 0 || state.pendingBytes > limits.headerBytes) {
    throw archiveLimit(header.name, `its headers are larger than ${limits.headerBytes} bytes`);
  }
  const body = Buffer.from(await source.readExactly(size));
  await source.skip(padding(size));
  return body;
}

/** Up to the first NUL; a missing one is tolerated, as every reader does. */
function gnuText(body: Buffer): Buffer {
  const end = body.indexOf(0);
  return body.subarray(0, end < 0 ? body.length : end);
}

interface OpenEntry {
  readonly entry: TarEntry;
  /** Skips what was not read of the data, and the padding. */
  readonly finish: () => Promise<void>;
}

async function openEntry(
  source: ByteSource,
  header: TarHeader,
  pending: PendingHeaders,
  { globals, mayLackEnd }: ReaderState,
  limits: ArchiveLimits,
): Promise<OpenEntry> {
  const head = mergeHeaders(header, pending, globals, limits);
  const { map, takenBytes } = await sparseMapOf(source, header, pending.pax ?? [], head.storedBytes, limits);
  if (map !== undefined) {
    if (head.kind !== 'file') throw new TarFormatError('it is sparse though it is no file');
    checkSparseMap(map, head.storedBytes - takenBytes);
  }
  if ((map?.sizeBytes ?? head.storedBytes) > limits.fileBytes) {
    throw archiveLimit(head.name, `it is larger than ${limits.fileBytes} bytes`);
  }
  let left = head.storedBytes - takenBytes;
  async function* body(): AsyncGenerator<Buffer, void, undefined> {
    while (left > 0) {
      const chunk = await naming(head.name, () => source.readSome(left));
      left -= chunk.length;
      yield chunk;
    }
  }
  return {
    entry: { ...head, storedBytes: left, ...(map === undefined ? {} : { sparse: map }), body },
    finish: async () => {
      await source.skip(left);
      if (!mayLackEnd || !(await source.atEnd())) await source.skip(padding(head.storedBytes));
    },
  };
}

async function sparseMapOf(
  source: ByteSource,
  header: TarHeader,
  pax: readonly PaxRecord[],
  storedBytes: number,
  limits: ArchiveLimits,
): Promise<{ readonly map?: SparseMap; readonly takenBytes: number }> {
  const read = (bytes: number): Promise<Buffer> => source.readExactly(bytes);
  const said = paxSparse(pax, limits.sparseRegions);
  if (header.type === TYPE.gnuSparse) {
    if (header.format !== 'gnu' || said !== undefined)
      throw new TarFormatError('it is sparse in two ways or in none');
    return { map: await readOldGnuMap(header.block, read, limits.sparseRegions), takenBytes: 0 };
  }
  if (said === undefined) return { takenBytes: 0 };
  if (said.version === '0') return { map: said.map, takenBytes: 0 };
  const maxBytes = Math.min(storedBytes, limits.headerBytes);
  return readPaxMap(said.sizeBytes, read, limits.sparseRegions, maxBytes);
}

function padding(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
}

/** Runs a step and puts the entry's name on what it throws. */
async function naming<T>(entry: Buffer | undefined, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof TarFormatError) throw archiveError(entry, error.message);
    const nameless = error instanceof MydockerError && error.metadata['entry'] === undefined;
    if (!nameless || entry === undefined) throw error;
    const { code, reason, hint, metadata, cause } = error;
    const why = metadata['why'] ?? error.message;
    throw archiveError(entry, why, { code, reason, cause, ...(hint === undefined ? {} : { hint }) });
  }
}

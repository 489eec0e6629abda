/**
 * Sparse files in tar: four notations (old GNU, PAX 0.0, 0.1, 1.0) for the same thing, a list of regions
 * that hold data. Read as what they are, else a hole-filled file would unpack to its map and shreds.
 * Source: GNU tar manual, "Storing Sparse Files".
 */
import { TarFormatError } from './archive-error.ts';
import { BLOCK_BYTES, type PaxRecord, parseNumber, parsePaxInteger } from './tar-header.ts';

/** A region that holds data; between regions there are zeros. */
export interface SparseRegion {
  readonly offset: number;
  readonly length: number;
}

/** Where the data of a sparse file goes. */
export interface SparseMap {
  /** Size of the file, holes and all. */
  readonly sizeBytes: number;
  /** Ascending, without overlap. */
  readonly regions: readonly SparseRegion[];
}

/** Reads the next bytes of the archive, exactly as many. */
export type ReadExactly = (bytes: number) => Promise<Buffer>;

/**
 * Old GNU: four regions in the header, 21 in each extension block that follows it.
 * @param block - the header block.
 * @returns the map, unchecked; the extension blocks are consumed.
 */
export async function readOldGnuMap(
  block: Buffer,
  readExactly: ReadExactly,
  maxRegions: number,
): Promise<SparseMap> {
  const regions: SparseRegion[] = [];
  pushOldRegions(regions, block.subarray(386, 482));
  for (let more = block[482] !== 0; more; ) {
    const extension = await readExactly(BLOCK_BYTES);
    pushOldRegions(regions, extension.subarray(0, 504));
    if (regions.length > maxRegions) throw new TarFormatError('its sparse map has too many regions');
    more = extension[504] !== 0;
  }
  return { sizeBytes: toSafe(parseNumber(block.subarray(483, 495), 'real size')), regions };
}

function pushOldRegions(regions: SparseRegion[], table: Buffer): void {
  for (let at = 0; at + 24 <= table.length; at += 24) {
    // A region whose first byte is NUL ends the table early.
    if (table[at] === 0) return;
    regions.push({
      offset: toSafe(parseNumber(table.subarray(at, at + 12), 'sparse offset')),
      length: toSafe(parseNumber(table.subarray(at + 12, at + 24), 'sparse length')),
    });
  }
}

/** What the PAX records of an entry say about its sparse map. */
export type PaxSparse =
  | { readonly version: '0'; readonly map: SparseMap }
  | { readonly version: '1.0'; readonly sizeBytes: number };

/**
 * @returns undefined when the records speak of no sparse file.
 * @throws TarFormatError for a version we do not know, or a map that does not add up.
 */
export function paxSparse(records: readonly PaxRecord[], maxRegions: number): PaxSparse | undefined {
  const sparse = records.filter((r) => r.key.startsWith('GNU.sparse.'));
  if (sparse.length === 0) return undefined;
  const last = (key: string): Buffer | undefined =>
    sparse.findLast((r) => r.key === `GNU.sparse.${key}`)?.value;
  const number = (value: Buffer | undefined, key: string): number => {
    if (value === undefined) throw new TarFormatError(`its sparse header lacks ${key}`);
    return toSafe(parsePaxInteger(value, key));
  };
  const version = `${last('major')?.toString('latin1') ?? '0'}.${last('minor')?.toString('latin1') ?? '0'}`;
  if (version === '1.0') return { version, sizeBytes: number(last('realsize'), 'realsize') };
  if (version !== '0.0' && version !== '0.1')
    throw new TarFormatError(`it is sparse in the unknown version ${version}`);
  const list = last('map')?.toString('latin1').split(',') ?? pairs(sparse);
  if (list.length % 2 !== 0 || list.length / 2 > maxRegions) {
    throw new TarFormatError('its sparse map is broken or has too many regions');
  }
  const regions = toRegions(list);
  return { version: '0', map: { sizeBytes: number(last('size') ?? last('realsize'), 'size'), regions } };
}

/** Version 0.0 repeats two keys, in turn. */
function pairs(records: readonly PaxRecord[]): string[] {
  const list: string[] = [];
  for (const { key, value } of records) {
    const place = key === 'GNU.sparse.offset' ? 0 : key === 'GNU.sparse.numbytes' ? 1 : undefined;
    if (place === undefined) continue;
    if (list.length % 2 !== place)
      throw new TarFormatError('its sparse offsets and lengths do not alternate');
    list.push(value.toString('latin1'));
  }
  return list;
}

/**
 * Version 1.0: the map is decimal lines at the start of the entry's data, padded to a block.
 * @returns the map, and how many bytes of data it took.
 */
export async function readPaxMap(
  sizeBytes: number,
  readExactly: ReadExactly,
  maxRegions: number,
  maxBytes: number,
): Promise<{ readonly map: SparseMap; readonly takenBytes: number }> {
  const lines: string[] = [];
  let partial = '';
  let taken = 0;
  const need = async (count: number): Promise<void> => {
    while (lines.length < count) {
      if (taken + BLOCK_BYTES > maxBytes) throw new TarFormatError('its sparse map is too long');
      const split = (partial + (await readExactly(BLOCK_BYTES)).toString('latin1')).split('\n');
      taken += BLOCK_BYTES;
      partial = split.pop() ?? '';
      lines.push(...split);
    }
  };
  await need(1);
  const count = toSafe(parsePaxInteger(Buffer.from(lines[0] ?? ''), 'region count'));
  if (count > maxRegions) throw new TarFormatError('its sparse map has too many regions');
  // Each number takes two bytes at least, so that a huge count is refused before anything is read for it.
  if (count * 4 > maxBytes) throw new TarFormatError('its sparse map is too long');
  await need(1 + 2 * count);
  return { map: { sizeBytes, regions: toRegions(lines.slice(1, 1 + 2 * count)) }, takenBytes: taken };
}

function toRegions(list: readonly string[]): SparseRegion[] {
  const regions: SparseRegion[] = [];
  for (let i = 0; i + 1 < list.length; i += 2) {
    const [offset, length] = [list[i], list[i + 1]].map((n) =>
      toSafe(parsePaxInteger(Buffer.from(n ?? ''), 'sparse map')),
    );
    regions.push({ offset: offset ?? 0, length: length ?? 0 });
  }
  return regions;
}

/**
 * @param storedBytes - data bytes that follow in the archive.
 * @throws TarFormatError when regions overlap, leave the file, or do not add up to the stored bytes.
 */
export function checkSparseMap(map: SparseMap, storedBytes: number): void {
  let end = 0;
  let sum = 0;
  for (const region of map.regions) {
    if (region.offset < end) throw new TarFormatError('its sparse regions overlap or are out of order');
    end = region.offset + region.length;
    sum += region.length;
    if (end > map.sizeBytes) throw new TarFormatError('a sparse region ends after the file');
  }
  if (sum !== storedBytes) throw new TarFormatError('its sparse regions do not add up to the data stored');
}

function toSafe(value: bigint): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new TarFormatError('its sparse map has a number out of range');
  }
  return Number(value);
}

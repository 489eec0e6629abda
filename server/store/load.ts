/**
 * Reads the whole database at open and finds what does not fit: values with a wrong checksum, records that
 * the indexes name and nobody has, records that the tally counts and nobody has.
 */
import type { ContainerRecord } from '../model/container.ts';
import type { BlobRecord, ImageRecord, LayerRecord } from '../model/image.ts';
import type { NetworkRecord } from '../model/network.ts';
import type { VolumeRecord } from '../model/volume.ts';
import { decodeValue } from './codec.ts';
import type { Database } from './level.ts';
import {
  eventSeq,
  type IndexName,
  keyOf,
  rangeOf,
  SCHEMA_KEY,
  TABLES,
  TALLY_KEY,
  type TableName,
} from './schema.ts';
import type { Stored } from './store.ts';
import { addDelta, emptyTally, readTally, type Tally } from './tally.ts';
import { type Op, putOp } from './writer.ts';

/** The records of each table, by id. */
export interface Records {
  readonly container: Map<string, ContainerRecord>;
  readonly image: Map<string, ImageRecord>;
  readonly layer: Map<string, LayerRecord>;
  readonly blob: Map<string, BlobRecord>;
  readonly volume: Map<string, VolumeRecord>;
  readonly network: Map<string, NetworkRecord>;
}

/** What a database holds. */
export interface Contents {
  readonly records: Records;
  readonly meta: ReadonlyMap<string, string>;
  /** Undefined in an empty database, and where it is lost. */
  readonly schema: number | undefined;
  readonly tally: Tally | undefined;
  /** The records found, added up. */
  readonly found: Tally;
  /** Entries of the indexes, as found. */
  readonly indexes: Readonly<Record<IndexName, ReadonlyMap<string, string>>>;
  /** Keys whose value cannot be read. */
  readonly damagedKeys: readonly string[];
  readonly firstSeq: bigint;
  readonly lastSeq: bigint;
  readonly empty: boolean;
}

const ID_FIELD: Readonly<Record<TableName, string>> = {
  container: 'id',
  image: 'id',
  layer: 'chainId',
  blob: 'digest',
  volume: 'name',
  network: 'id',
};

/** @throws LevelDB's own error when a file cannot be read. */
export async function loadContents(db: Database): Promise<Contents> {
  const damagedKeys: string[] = [];
  const records: Records = {
    container: new Map(),
    image: new Map(),
    layer: new Map(),
    blob: new Map(),
    volume: new Map(),
    network: new Map(),
  };
  const found = emptyTally();
  for (const table of TABLES) {
    for (const [id, value] of await readRange(db, table, damagedKeys)) {
      const record = asStored(table, id, value);
      if (record === undefined) damagedKeys.push(keyOf(table, id));
      else {
        (records[table] as Map<string, Stored>).set(id, record);
        addDelta(found, { table, id, revAfter: record.rev });
      }
    }
  }
  const meta = await readRange(db, 'meta', damagedKeys);
  const schema = meta.get(SCHEMA_KEY.slice('meta!'.length));
  const [first] = await db.keys({ ...rangeOf('event'), limit: 1 }).all();
  const [last] = await db.keys({ ...rangeOf('event'), limit: 1, reverse: true }).all();
  const [any] = await db.keys({ limit: 1 }).all();
  return {
    records,
    meta: texts(meta),
    schema: typeof schema === 'number' ? schema : undefined,
    tally: readTally(meta.get(TALLY_KEY.slice('meta!'.length))),
    found,
    indexes: {
      'container-name': texts(await readRange(db, 'container-name', damagedKeys)),
      'image-reference': texts(await readRange(db, 'image-reference', damagedKeys)),
    },
    damagedKeys,
    firstSeq: first === undefined ? 1n : eventSeq(first),
    lastSeq: last === undefined ? 0n : eventSeq(last),
    empty: any === undefined,
  };
}

/** Ops that make the indexes say what the records say. */
export function indexFixes(contents: Contents): Op[] {
  const names = new Map([...contents.records.container.values()].map((c) => [c.name, c.id]));
  const references = new Map<string, string>();
  for (const image of contents.records.image.values()) {
    for (const reference of image.references) references.set(reference, image.id);
  }
  return [
    ...differences('container-name', contents.indexes['container-name'], names),
    ...differences('image-reference', contents.indexes['image-reference'], references),
  ];
}

function differences(index: IndexName, is: ReadonlyMap<string, string>, should: Map<string, string>): Op[] {
  const ops: Op[] = [];
  for (const key of is.keys()) if (!should.has(key)) ops.push({ key: keyOf(index, key) });
  for (const [key, id] of should) {
    if (is.get(key) !== id) ops.push(putOp(keyOf(index, key), id));
  }
  return ops;
}

/** Entries below a prefix by the rest of their key; unreadable ones go to `damaged`. */
async function readRange(
  db: Database,
  prefix: TableName | IndexName | 'meta',
  damaged: string[],
): Promise<Map<string, unknown>> {
  const entries = new Map<string, unknown>();
  for (const [key, value] of await db.iterator(rangeOf(prefix)).all()) {
    try {
      entries.set(key.slice(prefix.length + 1), decodeValue(key, value));
    } catch {
      damaged.push(key);
    }
  }
  return entries;
}

function asStored(table: TableName, id: string, value: unknown): Stored | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { v, rev, createdAt, updatedAt, [ID_FIELD[table]]: own } = value as Record<string, unknown>;
  const ok = v === 1 && own === id && [rev, createdAt, updatedAt].every((n) => typeof n === 'bigint');
  return ok ? (value as Stored) : undefined;
}

function texts(entries: ReadonlyMap<string, unknown>): Map<string, string> {
  return new Map([...entries].filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

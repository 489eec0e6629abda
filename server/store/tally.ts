/**
 * What the records in the database should add up to. Written in every batch, it shows at the next open
 * whether all of them are still there: LevelDB drops a damaged part of its log and opens without an error.
 */
import { crc32 } from 'node:zlib';
import { TABLES, type TableName } from './schema.ts';

/** Sums over everything that was written. */
export interface Tally {
  /** Mutations ever made; the place in the history of this database. */
  mutations: number;
  /** Records of each table. */
  counts: Record<TableName, number>;
  /** Sum of a hash of (table, id, rev) over all records, modulo 2^32: sees a lost change as well. */
  fingerprint: number;
  /** Newest event's sequence number. */
  lastSeq: bigint;
  /** Next layer serial to give out. */
  nextSerial: bigint;
}

/** What one mutation adds. */
export interface TallyDelta {
  readonly table: TableName;
  readonly id: string;
  /** Absent: the record is new. */
  readonly revBefore?: bigint;
  /** Absent: the record is removed. */
  readonly revAfter?: bigint;
}

/** Of an empty database. */
export function emptyTally(): Tally {
  return {
    mutations: 0,
    counts: { container: 0, image: 0, layer: 0, blob: 0, volume: 0, network: 0 },
    fingerprint: 0,
    lastSeq: 0n,
    nextSerial: 1n,
  };
}

/** An own copy. */
export function copyTally(tally: Tally): Tally {
  return { ...tally, counts: { ...tally.counts } };
}

/** Adds one change of a record, in place. */
export function addDelta(tally: Tally, delta: TallyDelta): void {
  const { table, id, revBefore, revAfter } = delta;
  if (revBefore === undefined) tally.counts[table] += 1;
  if (revAfter === undefined) tally.counts[table] -= 1;
  const gone = revBefore === undefined ? 0 : hash(table, id, revBefore);
  const come = revAfter === undefined ? 0 : hash(table, id, revAfter);
  tally.fingerprint = (tally.fingerprint - gone + come) >>> 0;
}

/** Whether the records are the ones that the tally speaks of. */
export function sameRecords(a: Tally, b: Tally): boolean {
  return a.fingerprint === b.fingerprint && TABLES.every((table) => a.counts[table] === b.counts[table]);
}

/** A stored tally, or undefined when the value is not one. */
export function readTally(value: unknown): Tally | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { mutations, counts, fingerprint, lastSeq, nextSerial } = value as Partial<
    Record<keyof Tally, unknown>
  >;
  if (!isCount(mutations) || !isCount(fingerprint)) return undefined;
  if (typeof lastSeq !== 'bigint' || typeof nextSerial !== 'bigint') return undefined;
  if (typeof counts !== 'object' || counts === null) return undefined;
  const given = counts as Partial<Record<TableName, unknown>>;
  const tally = { ...emptyTally(), mutations, fingerprint, lastSeq, nextSerial };
  for (const table of TABLES) {
    // Version 1 had no volumes, version 2 no networks.
    const count = given[table] ?? (table === 'volume' || table === 'network' ? 0 : undefined);
    if (!isCount(count)) return undefined;
    tally.counts[table] = count;
  }
  return tally;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function hash(table: TableName, id: string, rev: bigint): number {
  return crc32(`${table}!${id}@${rev}`);
}

/**
 * The key space of the metadata database, drawn once:
 *
 *   meta!schema                    SCHEMA_VERSION
 *   meta!tally                     Tally: what the records should add up to; in every batch
 *   meta!bootId                    boot that the runs in the records belong to
 *   meta!instance                  instance key of this root
 *   container!<64 hex id>          ContainerRecord
 *   container-name!<name>          container id
 *   image!sha256:<64 hex>          ImageRecord
 *   image-reference!<reference>    image id; references in full, docker.io/library/redis:7
 *   layer!sha256:<64 hex>          LayerRecord, by chain id
 *   blob!sha256:<64 hex>           BlobRecord, by digest
 *   volume!<name>                  VolumeRecord, since version 2
 *   network!<64 hex id>            NetworkRecord, since version 3
 *   network-name!<name>            reserved
 *   event!<16 hex sequence number> EventRecord; oldest ones trimmed
 *
 * A value is 8 hex digits, the CRC-32 of key and JSON, then the JSON (codec.ts). The rule: change any of
 * this = a higher SCHEMA_VERSION, a migration, and a test on a database made before.
 */

/** Version of the key space and of the shapes in it. */
export const SCHEMA_VERSION = 3;

/** Tables of records, in the order in which they are read. */
export const TABLES = ['container', 'image', 'layer', 'blob', 'volume', 'network'] as const;
export type TableName = (typeof TABLES)[number];

/** Tables of unique keys that point at an id. */
export type IndexName = 'container-name' | 'image-reference';

export const SCHEMA_KEY = 'meta!schema';
export const TALLY_KEY = 'meta!tally';

/** Key of one entry of a table, an index or the meta table. */
export function keyOf(prefix: TableName | IndexName | 'meta', id: string): string {
  return `${prefix}!${id}`;
}

/** All keys below a prefix. */
export function rangeOf(prefix: TableName | IndexName | 'meta' | 'event'): { gt: string; lt: string } {
  // '"' is the character after '!'.
  return { gt: `${prefix}!`, lt: `${prefix}"` };
}

/** Key of an event; sorts as its number does. */
export function eventKey(seq: bigint): string {
  return `event!${seq.toString(16).padStart(16, '0')}`;
}

/** Sequence number that an event's key stands for. */
export function eventSeq(key: string): bigint {
  return BigInt(`0x${key.slice('event!'.length)}`);
}

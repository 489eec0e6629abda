/**
 * Values that only Go's JSON has: lists and maps that are null in JSON and empty in templates, maps in order of
 * their keys, times with as many digits as they need. Scripts written for Docker see no difference.
 */
import type { Timestamp } from '../../proto/gen/google/protobuf/timestamp.ts';
import { showInstant } from '../render/values.ts';

/** What Go prints for a time that never was. */
const NEVER = '0001-01-01T00:00:00Z';

/** A list that is null in JSON, and in templates a list without elements. */
export const NIL_LIST: readonly never[] = Object.freeze(isNil([]));

/** A map that is null in JSON, and in templates a map without entries. */
export const NIL_MAP: Readonly<Record<string, never>> = Object.freeze(isNil(Object.create(null)));

/**
 * A map: its keys are the user's. It has no prototype, by which templates know it from an object with fields, of
 * which one that is not there is an error.
 */
export function goMap<T>(entries: Iterable<readonly [key: string, value: T]>): Readonly<Record<string, T>> {
  const map: Record<string, T> = Object.create(null);
  for (const [key, value] of [...entries].sort(([a], [b]) => (a < b ? -1 : 1))) map[key] = value;
  return map;
}

/** The list, or one that is null where it has no elements. */
export function listOrNil<T>(list: readonly T[] | undefined): readonly T[] {
  return list === undefined || list.length === 0 ? NIL_LIST : list;
}

/** The map, or one that is null where it has no entries. */
export function mapOrNil<T>(map: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.keys(map).length === 0 ? NIL_MAP : goMap(Object.entries(map));
}

/** RFC 3339 without zeros at the end, as Go writes it; year 1 where there is no time. */
export function goTime(time: Timestamp | undefined): string {
  return time === undefined ? NEVER : showInstant(time).replace(/\.?0*Z$/, 'Z');
}

function isNil<T extends object>(value: T): T {
  return Object.defineProperty(value, 'toJSON', { value: () => null, enumerable: false });
}

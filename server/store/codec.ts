/**
 * How a record becomes the text of a LevelDB value and back: JSON with bigints, behind a checksum over key
 * and text, because LevelDB does not verify its blocks when it reads them.
 *
 *   5n            ⇄ {"$n":"5"}
 *   {"$n": "5"}   ⇄ {"$$n":"5"}      own keys that begin with $ get one more
 */
import { crc32 } from 'node:zlib';
import { dataLoss } from '../model/error.ts';

const CRC_CHARS = 8;
const BIGINT = /^-?(?:0|[1-9]\d{0,38})$/;

/** JSON of a plain value that may hold bigints. Also the form of a container's config.json. */
export function encodeJson(value: unknown): string {
  return JSON.stringify(value, replace);
}

/**
 * The value that {@link encodeJson} was given. A key `__proto__` is dropped.
 * @throws SyntaxError when it is not JSON.
 */
export function decodeJson(text: string): unknown {
  return JSON.parse(text, revive);
}

/** A value as stored under a key. */
export function encodeValue(key: string, value: unknown): string {
  const json = encodeJson(value);
  return checksum(key, json) + json;
}

/**
 * A stored value.
 * @throws MydockerError `data-loss` when the checksum does not fit.
 */
export function decodeValue(key: string, stored: string): unknown {
  const json = stored.slice(CRC_CHARS);
  if (stored.slice(0, CRC_CHARS) !== checksum(key, json)) {
    throw dataLoss(`cannot read record ${key}: its checksum does not fit`, { reason: 'RECORD_DAMAGED' });
  }
  return decodeJson(json);
}

function checksum(key: string, json: string): string {
  return crc32(json, crc32(key)).toString(16).padStart(CRC_CHARS, '0');
}

function replace(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return { $n: value.toString() };
  if (!isPlainObject(value)) return value;
  for (const key in value) if (key.startsWith('$')) return renameKeys(value, (k) => `$${k}`);
  return value;
}

function revive(key: string, value: unknown): unknown {
  // undefined makes JSON.parse leave the property out.
  if (key === '__proto__') return undefined;
  if (!isPlainObject(value)) return value;
  for (const own in value) {
    if (!own.startsWith('$')) continue;
    const number = value['$n'];
    if (typeof number === 'string' && BIGINT.test(number) && Object.keys(value).length === 1)
      return BigInt(number);
    return renameKeys(value, (k) => k.slice(1));
  }
  return value;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function renameKeys(
  value: Record<string, unknown>,
  rename: (key: string) => string,
): Record<string, unknown> {
  // fromEntries defines properties, so that no key can reach a prototype's setter.
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k.startsWith('$') ? rename(k) : k, v]));
}

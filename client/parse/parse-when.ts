/** Points in time as people give them: a date, seconds since the epoch, or how long ago. */
import type { Timestamp } from '../../proto/gen/google/protobuf/timestamp.ts';
import { UsageError } from '../usage-error.ts';

const UNIT_NS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
};
const PART = /(\d{1,9})(?:\.(\d{1,9}))?(ns|us|µs|ms|[smhd])/g;
const NS = 1_000_000_000n;

/**
 * A point in time.
 * @param text - `2026-11-22`, `2026-11-22T03:13:00.5` (local, or with Z or +hh:mm), `1795316000.25`, `10m`, `1h30m`.
 * @param nowMs - what "ago" counts from, in ms since the epoch.
 * @throws UsageError
 */
export function parseWhen(option: string, text: string, nowMs: number = Date.now()): Timestamp {
  const ns = secondsSinceEpoch(text) ?? ago(text, nowMs) ?? date(text);
  if (ns !== undefined) return { seconds: ns / NS, nanos: Number(ns % NS) };
  throw new UsageError(`invalid time ${JSON.stringify(text)} for ${option}`, {
    hint: 'for example 10m, 1h30m, 2026-11-22T03:13:00Z or seconds since 1970',
  });
}

function secondsSinceEpoch(text: string): bigint | undefined {
  const [, whole, fraction = ''] = /^(\d{1,12})(?:\.(\d{1,9}))?$/.exec(text) ?? [];
  return whole === undefined ? undefined : BigInt(whole) * NS + BigInt(fraction.padEnd(9, '0'));
}

function ago(text: string, nowMs: number): bigint | undefined {
  if (text.replaceAll(PART, '') !== '' || text === '') return undefined;
  let ns = 0n;
  for (const [, whole = '', fraction = '', unit = ''] of text.matchAll(PART)) {
    ns += (BigInt(whole + fraction) * (UNIT_NS[unit] ?? 0n)) / 10n ** BigInt(fraction.length);
  }
  return BigInt(nowMs) * 1_000_000n - ns;
}

function date(text: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?)?$/.exec(
    text,
  );
  if (match === null) return undefined;
  const [, day, time = '00:00', fraction = '', zone = ''] = match;
  const ms = Date.parse(`${day}T${time}${zone}`);
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}

/** Times in documents of images: RFC 3339 with any number of fractional digits, as Go writes them. */

const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)$/;
const NS_PER_MS = 1_000_000n;

/**
 * @returns ns since the epoch; undefined for what is no time, for Go's zero time, which says "not known", and
 * for what lies before the epoch.
 */
export function parseTime(text: string): bigint | undefined {
  const [, seconds, fraction = '', zone] = TIME.exec(text) ?? [];
  if (seconds === undefined || zone === undefined) return undefined;
  const ms = Date.parse(`${seconds}${zone}`);
  if (Number.isNaN(ms) || ms <= 0) return undefined;
  return BigInt(ms) * NS_PER_MS + BigInt(fraction.padEnd(9, '0'));
}

/** Numbers out of options, strictly: `12x` is refused and not taken for 12. */
import { UsageError } from '../usage-error.ts';

const FACTORS: Readonly<Record<string, bigint>> = {
  '': 1n,
  b: 1n,
  k: 1n << 10n,
  m: 1n << 20n,
  g: 1n << 30n,
  t: 1n << 40n,
};

/**
 * A whole number.
 * @param option - as typed, for the error.
 * @throws UsageError when it is none, or outside the range.
 */
export function parseWhole(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^-?\d{1,15}$/.test(text) && value >= least && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
  throw new UsageError(
    `invalid value ${JSON.stringify(text)} for ${option}: it is not a whole number ${range}`,
  );
}

/**
 * A decimal fraction in billionths: `1.5` is 1500000000n.
 * @throws UsageError
 */
export function parseBillionths(option: string, text: string): bigint {
  const [, whole = '', fraction = ''] = /^(\d{0,9})(?:\.(\d{0,9}))?$/.exec(text) ?? [];
  if (whole + fraction !== '') return BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'));
  throw new UsageError(`invalid value ${JSON.stringify(text)} for ${option}: it is not a number`, {
    hint: 'for example 1.5',
  });
}

/**
 * Bytes of a size: digits with an optional fraction, then b, k, m, g or t, powers of 1024; -1 is -1n.
 * @throws UsageError
 */
export function parseSize(option: string, text: string): bigint {
  if (text === '-1') return -1n;
  const [, whole, fraction = '', unit = ''] =
    /^(\d{1,18})(?:\.(\d{1,9}))?(?:([kmgt])(?:i?b)?|b)?$/i.exec(text) ?? [];
  const factor = FACTORS[unit.toLowerCase()];
  if (whole === undefined || factor === undefined) {
    throw new UsageError(
      `invalid size ${JSON.stringify(text)} for ${option}: it is not a number with b, k, m or g`,
      {
        hint: 'for example 512m or 2g; -1 is no limit',
      },
    );
  }
  return (BigInt(whole + fraction) * factor) / 10n ** BigInt(fraction.length);
}

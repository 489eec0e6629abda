/** Amounts of memory as people write them, exactly: `100m`, `1.5g`, `-1`. */
import { invalidArgument, quoteId } from './error.ts';

/** Least memory limit: below it a process cannot even be started reliably. */
export const MIN_MEMORY_LIMIT_BYTES: bigint = 6n * 1024n * 1024n;

/** What `-1` gives. */
export const UNLIMITED = -1n;

const FACTORS: Readonly<Record<string, bigint>> = { '': 1n, b: 1n, k: 1n << 10n, m: 1n << 20n, g: 1n << 30n };
const MAX_BYTES = (1n << 63n) - 1n;

/**
 * Bytes of a size.
 * @param text - digits with an optional fraction, then b, k, m or g in either case, also as kb or kib (always
 * powers of 1024; none is bytes); or `-1` for no limit.
 * @returns bytes, a fraction of a byte dropped, at most 2^63 - 1; or {@link UNLIMITED}.
 * @throws MydockerError `invalid-argument`.
 */
export function parseSize(text: string): bigint {
  if (text === '-1') return UNLIMITED;
  const match = /^(\d{1,19})(?:\.(\d{1,9}))?(?:([kmg])(?:i?b)?|b)?$/i.exec(text);
  const [, whole = '', fraction = '', unit = ''] = match ?? [];
  const factor = FACTORS[unit.toLowerCase()];
  if (match === null || factor === undefined)
    throw invalid(text, 'it is not a number with b, k, m or g, nor -1');
  if (fraction !== '' && factor === 1n) throw invalid(text, 'bytes have no fraction');
  const scale = 10n ** BigInt(fraction.length);
  const bytes = (BigInt(whole + fraction) * factor) / scale;
  if (bytes > MAX_BYTES) throw invalid(text, 'it is too large');
  return bytes;
}

function invalid(text: string, why: string): Error {
  return invalidArgument(`invalid size ${quoteId(text)}: ${why}`, {
    reason: 'SIZE_INVALID',
    hint: 'for example 512m or 2g',
  });
}

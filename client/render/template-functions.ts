/** The functions of `--format` templates: Go's own and Docker's; what they do is what theirs do. */
import { UsageError } from '../usage-error.ts';
import { formatValues } from './template-printf.ts';

/** What a missing field of data reads as, as in Go. */
const NO_VALUE = '<no value>';

export type TemplateFunction = (...values: unknown[]) => unknown;

/** By the name that templates use; `and` and `or` are the language's, they look at no more than they must. */
export const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  json: toJson,
  join: (list, separator) =>
    Array.isArray(list) ? list.map(show).join(String(separator ?? '')) : show(list),
  split: (value, separator) => show(value).split(String(separator ?? '')),
  upper: (value) => show(value).toUpperCase(),
  lower: (value) => show(value).toLowerCase(),
  title: (value) => show(value).replace(/(?<![\p{L}\p{N}'])\p{L}/gu, (letter) => letter.toUpperCase()),
  truncate: (value, length) => [...show(value)].slice(0, Number(length)).join(''),
  pad: (value, before, after) => `${spaces(before)}${show(value)}${spaces(after)}`,
  len: (value) => sizeOf(value),
  index: (value, ...keys) => keys.reduce((found: unknown, key) => at(found, key), value),
  slice: (value, from, to) => part(value, from, to),
  print: (...values) => values.map(show).join(''),
  println: (...values) => `${values.map(show).join(' ')}\n`,
  printf: (format, ...values) => formatValues(show(format), values, show),
  eq: (value, ...others) => others.some((other) => same(value, other)),
  ne: (value, other) => !same(value, other),
  lt: (a, b) => compare(a, b) < 0,
  le: (a, b) => compare(a, b) <= 0,
  gt: (a, b) => compare(a, b) > 0,
  ge: (a, b) => compare(a, b) >= 0,
  not: (value) => !isTrue(value),
};

/** Functions that leave a column's heading as it is. */
export const IN_HEADINGS: Readonly<Record<string, TemplateFunction>> = Object.fromEntries(
  ['json', 'upper', 'lower', 'title', 'truncate', 'split', 'join', 'slice', 'pad'].map((name) => [
    name,
    (value: unknown) => value,
  ]),
);

/** As JSON; whole numbers of any size stay numbers. */
function toJson(value: unknown): string {
  // JSON.stringify takes no bigint: it goes in as a text that nobody else writes.
  const text = JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? `\uE000int:${item}` : item));
  return (text ?? 'null').replaceAll(/"\uE000int:(-?\d+)"/g, '$1');
}

/** As Go prints it: lists in brackets, maps as `map[k:v]`. */
export function show(value: unknown): string {
  if (value === undefined) return NO_VALUE;
  if (value === null) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(show).join(' ')}]`;
  if (typeof value === 'object')
    return `map[${Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => `${key}:${show(item)}`)
      .join(' ')}]`;
  return String(value);
}

/** Empty texts, lists and maps, 0, false and nothing are not. */
export function isTrue(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return entriesOf(value).length > 0;
  return Boolean(value);
}

/** Keys and values in Go's order: a map's by key. @throws UsageError for what has none. */
export function entriesOf(value: unknown): readonly (readonly [key: unknown, value: unknown])[] {
  if (Array.isArray(value)) return [...value.entries()];
  if (value === undefined || value === null) return [];
  if (typeof value !== 'object') throw failed(`cannot range over ${JSON.stringify(value)}`);
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** An error in what a template does with a value. */
export function failed(why: string, hint?: string): UsageError {
  return new UsageError(`invalid template for --format: ${why}`, hint === undefined ? {} : { hint });
}

function spaces(count: unknown): string {
  return ' '.repeat(Math.min(Math.max(Number(count ?? 0), 0), 1000));
}

function at(value: unknown, key: unknown): unknown {
  if (Array.isArray(value) || typeof value === 'string') {
    if (typeof key !== 'number') throw failed(`cannot index a list with ${JSON.stringify(key)}`);
    if (key < 0 || key >= value.length) throw failed(`index out of range: ${key} of ${value.length}`);
    return typeof value === 'string' ? Buffer.from(value)[key] : value[key];
  }
  if (value === undefined || value === null) throw failed('index of nothing');
  if (typeof value !== 'object') throw failed(`cannot index ${JSON.stringify(value)}`);
  return Object.hasOwn(value, String(key)) ? (value as Record<string, unknown>)[String(key)] : '';
}

function part(value: unknown, from: unknown, to: unknown): unknown {
  const whole = Array.isArray(value) ? value : show(value);
  const [start, end] = [Number(from ?? 0), Number(to ?? whole.length)];
  if (!(start >= 0 && start <= end && end <= whole.length))
    throw failed(`slice out of range: ${start} to ${end} of ${whole.length}`);
  return whole.slice(start, end);
}

function sizeOf(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (typeof value !== 'object' || value === null)
    throw failed(`len of ${JSON.stringify(value) ?? 'nothing'}`);
  return entriesOf(value).length;
}

function same(a: unknown, b: unknown): boolean {
  return a === b || (a !== undefined && b !== undefined && show(a) === show(b));
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : Number(a > b);
  throw failed(`cannot compare ${JSON.stringify(a)} with ${JSON.stringify(b)}`);
}

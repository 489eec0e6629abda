/** `--filter KEY=VALUE`, as often as wanted. */
import { UsageError } from '../usage-error.ts';

/** Values by key; an unknown key is refused. */
export type Filters<K extends string> = { readonly [key in K]: readonly string[] };

/** A condition on a label as the contract has it. */
export interface LabelCondition {
  readonly key: string;
  readonly value?: string;
  readonly absent?: boolean;
}

/**
 * Reads filters.
 * @param keys - those that the command knows.
 * @throws UsageError
 */
export function parseFilters<const K extends string>(
  given: readonly string[],
  keys: readonly K[],
): Filters<K> {
  const found = Object.fromEntries(keys.map((key): [K, string[]] => [key, []])) as Record<K, string[]>;
  for (const entry of given) {
    const cut = entry.indexOf('=');
    const key = entry.slice(0, Math.max(cut, 0));
    if (cut < 0) throw new UsageError(`invalid filter ${JSON.stringify(entry)}: it is not KEY=VALUE`);
    if (!keys.includes(key as K)) {
      throw new UsageError(`unknown filter ${JSON.stringify(key)}`, { hint: `known: ${keys.join(', ')}` });
    }
    found[key as K].push(entry.slice(cut + 1));
  }
  return found;
}

/** Conditions of `label=KEY[=VALUE]` and `label!=KEY[=VALUE]`. */
export function labelConditions(
  present: readonly string[],
  absent: readonly string[] = [],
): LabelCondition[] {
  const condition = (entry: string): LabelCondition => {
    const cut = entry.indexOf('=');
    return cut < 0 ? { key: entry } : { key: entry.slice(0, cut), value: entry.slice(cut + 1) };
  };
  return [...present.map(condition), ...absent.map((entry) => ({ ...condition(entry), absent: true }))];
}

/** One of a few words. @throws UsageError naming them. */
export function oneOf<T>(what: string, text: string, values: Readonly<Record<string, T>>): T {
  const value = values[text.toLowerCase()];
  if (value !== undefined) return value;
  throw new UsageError(`invalid ${what} ${JSON.stringify(text)}`, {
    hint: `one of ${Object.keys(values).join(', ')}`,
  });
}

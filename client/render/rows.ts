/** Lists as people want them: the usual table, a table or lines of a template, or an object a line. */
import { UsageError } from '../usage-error.ts';
import { renderTable } from './table.ts';
import { compileTemplate } from './template.ts';

/** A value that each item of a list has. */
export interface Column<T> {
  /** What templates and JSON call it: `CreatedAt`. */
  readonly name: string;
  /** What stands above it in tables. */
  readonly heading: string;
  readonly of: (item: T) => string;
}

/** What `--format` may say, for help. */
const FORMAT_ABOUT = "json, table, a template ('{{.ID}} {{.Size}}') or 'table TEMPLATE'";

/**
 * A list as text.
 * @param columns - every value; those with `usual` names make the usual table, in this order.
 * @param format - as typed; undefined or `table`: the usual table.
 * @param methods - what templates may call like a field with arguments: `{{.Label "key"}}`.
 * @throws UsageError for a template that cannot be read.
 */
export function renderRows<T>(
  items: readonly T[],
  columns: readonly Column<T>[],
  usual: readonly string[],
  format: string | undefined,
  methods: Readonly<Record<string, (item: T, argument: string) => string>> = {},
): string {
  const text = format?.trim() ?? 'table';
  if (text === 'table') {
    const shown = usual.flatMap((name) => columns.find((column) => column.name === name) ?? []);
    return renderTable(
      shown.map(({ heading }) => heading),
      items.map((item) => shown.map(({ of }) => of(item))),
    );
  }
  const values = (item: T): Record<string, string> =>
    Object.fromEntries(columns.map(({ name, of }) => [name, of(item)]));
  if (text === 'json') return items.map((item) => `${JSON.stringify(values(item))}\n`).join('');
  const [, template] = /^table\s+(.*)$/s.exec(text) ?? [];
  if (template === undefined && /^\w+$/.test(text))
    throw new UsageError(`unknown format ${JSON.stringify(text)}`, { hint: FORMAT_ABOUT });
  const fill = compileTemplate(template ?? text, { strict: true });
  const callable = (call: (name: string, argument: unknown) => string): Record<string, unknown> =>
    Object.fromEntries(Object.keys(methods).map((name) => [name, (value: unknown) => call(name, value)]));
  const lines = items.map((item) =>
    fill({ ...values(item), ...callable((name, value) => methods[name]?.(item, String(value)) ?? '') }),
  );
  if (template === undefined) return lines.map((line) => `${line}\n`).join('');
  const heading = Object.fromEntries(columns.map((column) => [column.name, column.heading]));
  const above = compileTemplate(template, { heading: true })({
    ...heading,
    ...callable((_, value) => String(value)),
  });
  return renderTable(
    above.split('\t'),
    lines.map((line) => line.split('\t')),
  );
}

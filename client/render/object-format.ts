/** `--format` of commands that print objects: `json`, an object a line, or a template that fills a line. */
import { UsageError } from '../usage-error.ts';
import { compileTemplate } from './template.ts';

/**
 * @param known - what else may be typed, for the hint: `json or a template such as '{{.Id}}'`.
 * @returns what prints an object, with a newline; it throws UsageError for a field that is not there.
 * @throws UsageError for a template that cannot be read.
 */
export function objectFormat(format: string, known: string): (value: unknown) => string {
  if (format !== 'json' && /^\w+$/.test(format))
    throw new UsageError(`unknown format ${JSON.stringify(format)}`, { hint: known });
  const fill = compileTemplate(format === 'json' ? '{{json .}}' : format, { strict: true });
  return (value) => `${fill(value)}\n`;
}

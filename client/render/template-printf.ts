/** `printf` of templates: the verbs of Go's fmt that make sense for texts, numbers and truth values. */
import { UsageError } from '../usage-error.ts';

const VERB = /%([-+#0 ]*)(\d{1,3})?(?:\.(\d{1,3}))?([\s\S]?)/g;

/**
 * @param show - how `%v` prints a value.
 * @throws UsageError for a verb that is not there.
 */
export function formatValues(
  format: string,
  values: readonly unknown[],
  show: (value: unknown) => string,
): string {
  let next = 0;
  const text = format.replaceAll(
    VERB,
    (whole, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%';
      if (next >= values.length) return `%!${verb}(MISSING)`;
      const value = values[next];
      next += 1;
      const body = formatOne(
        verb,
        value,
        precision === undefined ? undefined : Number(precision),
        show,
        whole,
      );
      return padded(body, flags, Number(width ?? 0));
    },
  );
  const extra = values.slice(next).map((value) => `${typeof value}=${show(value)}`);
  return extra.length === 0 ? text : `${text}%!(EXTRA ${extra.join(', ')})`;
}

function formatOne(
  verb: string,
  value: unknown,
  precision: number | undefined,
  show: (value: unknown) => string,
  whole: string,
): string {
  switch (verb) {
    case 's':
    case 'v':
      return precision === undefined ? show(value) : [...show(value)].slice(0, precision).join('');
    case 'q':
      return JSON.stringify(show(value));
    case 't':
      return String(value === true);
    case 'd':
      return typeof value === 'number' ? String(Math.trunc(value)) : `%!d(${show(value)})`;
    case 'x':
      return typeof value === 'number' ? value.toString(16) : Buffer.from(show(value)).toString('hex');
    case 'o':
      return Number(value).toString(8);
    case 'f':
      return Number(value).toFixed(precision ?? 6);
    default:
      throw new UsageError(`invalid template for --format: printf has no ${whole}`, {
        hint: 'known: %s %v %q %d %x %o %f %t %%',
      });
  }
}

function padded(text: string, flags: string, width: number): string {
  if (flags.includes('-')) return text.padEnd(width);
  const digits = /^-?\d/.test(text) && flags.includes('0');
  return digits ? text.padStart(width, '0') : text.padStart(width);
}

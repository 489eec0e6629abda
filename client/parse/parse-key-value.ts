/** Environment variables and labels, from options and files. */
import { readFileSync } from 'node:fs';
import { UsageError } from '../usage-error.ts';

/** The client's own environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `KEY=VALUE` of each; `KEY` alone takes the value from here, and where there is none stays alone, which removes the
 * image's. Files come first, so that options win.
 * @throws UsageError for an empty key or a file that cannot be read.
 */
export function parseEnvironment(
  given: readonly string[],
  files: readonly string[],
  here: Environment,
): string[] {
  return [...files.flatMap(linesOf), ...given].map((entry) => {
    if (entry === '' || entry.startsWith('=')) {
      throw new UsageError(`invalid environment variable ${JSON.stringify(entry)}: its name is empty`, {
        hint: 'for example -e KEY=VALUE',
      });
    }
    if (entry.includes('=')) return entry;
    const value = here[entry];
    return value === undefined ? entry : `${entry}=${value}`;
  });
}

/** Keys and values of `KEY=VALUE`; `KEY` alone has an empty value. @throws UsageError for an empty key. */
export function parseLabels(given: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    given.map((entry) => {
      const cut = entry.indexOf('=');
      if (cut === 0 || entry === '')
        throw new UsageError(`invalid label ${JSON.stringify(entry)}: its key is empty`);
      return cut < 0 ? [entry, ''] : [entry.slice(0, cut), entry.slice(cut + 1)];
    }),
  );
}

function linesOf(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
  // A value may end in spaces, a line may come from Windows.
  const lines = text.split('\n').map((line) => line.replace(/\r$/, '').trimStart());
  return lines.filter((line) => line !== '' && !line.startsWith('#'));
}

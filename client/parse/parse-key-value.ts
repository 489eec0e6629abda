/** Environment variables and labels, from options and files. */
import { readFileSync } from 'node:fs';
import { UsageError } from '../usage-error.ts';

/** The client's own environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `KEY=VALUE` of each; `KEY` alone takes the value from here. Where there is none, one that was given stays alone,
 * which removes the image's, and one of a file says nothing. Files come first, so that options win.
 * @throws UsageError for an empty key or a file that cannot be read.
 */
export function parseEnvironment(
  given: readonly string[],
  files: readonly string[],
  here: Environment,
): string[] {
  const ofFiles = files
    .flatMap((path) => entriesOf(path, 'variable'))
    .flatMap((entry) => {
      const value = entry.includes('=') ? undefined : here[entry];
      if (entry.includes('=')) return [entry];
      return value === undefined ? [] : [`${entry}=${value}`];
    });
  const ofOptions = given.map((entry) => {
    if (entry === '' || entry.startsWith('=')) {
      throw new UsageError(`invalid environment variable ${JSON.stringify(entry)}: its name is empty`, {
        hint: 'for example -e KEY=VALUE',
      });
    }
    if (entry.includes('=')) return entry;
    const value = here[entry];
    return value === undefined ? entry : `${entry}=${value}`;
  });
  return [...ofFiles, ...ofOptions];
}

/**
 * Keys and values of `KEY=VALUE`; `KEY` alone has an empty value. Files come first, so that options win.
 * @throws UsageError for an empty key or a file that cannot be read.
 */
export function parseLabels(given: readonly string[], files: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    [...files.flatMap((path) => entriesOf(path, 'label')), ...given].map((entry) => {
      const cut = entry.indexOf('=');
      if (cut === 0 || entry === '')
        throw new UsageError(`invalid label ${JSON.stringify(entry)}: its key is empty`);
      return cut < 0 ? [entry, ''] : [entry.slice(0, cut), entry.slice(cut + 1)];
    }),
  );
}

const NEWLINE = 10;

/**
 * Entries of a file as Docker reads it: a line each, empty ones and comments apart, nothing is unquoted, a value is
 * all that follows the first `=`.
 */
function entriesOf(path: string, noun: 'variable' | 'label'): string[] {
  const bytes = readFile(path);
  const entries: string[] = [];
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  for (let at = 0, number = 1; at < bytes.length; number += 1) {
    const newline = bytes.indexOf(NEWLINE, at);
    const end = newline < 0 ? bytes.length : newline;
    const bad = (why: string): UsageError =>
      new UsageError(`invalid ${noun} in ${path}, line ${number}: ${why}`);
    let line: string;
    try {
      line = decoder.decode(bytes.subarray(at, end));
    } catch {
      throw bad('it is not UTF-8');
    }
    at = end + 1;
    // A file may come from Windows.
    const entry = (number === 1 ? line.replace(/^\uFEFF/, '') : line).replace(/\r$/, '').trimStart();
    if (entry === '' || entry.startsWith('#')) continue;
    const cut = entry.indexOf('=');
    const key = cut < 0 ? entry.trimEnd() : entry.slice(0, cut);
    if (key === '') throw bad('it has no name');
    if (/\s/.test(key)) throw bad(`the name ${JSON.stringify(key)} has a blank in it`);
    entries.push(cut < 0 ? key : entry);
  }
  return entries;
}

function readFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
}

/** The project's own files, for tests that judge the sources and not what they do. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../harness/cli.ts';

/** What is installed, built or kept by tools; the same as in .gitignore. git itself may not be there. */
const NOT_OURS = new Set(['node_modules', 'build', 'dist', '.git']);

function* walk(folder: string): Generator<string> {
  for (const entry of readdirSync(join(PROJECT, folder), { withFileTypes: true })) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isFile()) yield path;
    else if (entry.isDirectory() && !NOT_OURS.has(path)) yield* walk(path);
  }
}

/**
 * Paths and texts of the project's files.
 * @param pattern - which paths, from the project's folder.
 */
export function projectFiles(pattern: RegExp): Map<string, string> {
  const paths = [...walk('')].filter((path) => pattern.test(path)).sort();
  return new Map(paths.map((path) => [path, readFileSync(join(PROJECT, path), 'utf8')]));
}

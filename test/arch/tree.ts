/** The project's own files, for tests that judge the sources and not what they do. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../harness/cli.ts';

/**
 * Paths and texts of the project's files, as git has them or would take them; generated code is left out.
 * @param pattern - which paths, from the project's folder.
 */
export function projectFiles(pattern: RegExp): Map<string, string> {
  // Paths separated by NUL, because a name may hold anything else.
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '-z'];
  const paths = execFileSync('git', ['-c', `safe.directory=${PROJECT}`, ...args], {
    cwd: PROJECT,
    encoding: 'utf8',
  });
  return new Map(
    paths
      .split('\0')
      .filter((path) => pattern.test(path) && existsSync(join(PROJECT, path)))
      .map((path) => [path, readFileSync(join(PROJECT, path), 'utf8')]),
  );
}

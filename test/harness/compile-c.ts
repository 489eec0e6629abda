/**
 * Compiles small C programs for tests with the machine's own compiler: what a header means is asked of the
 * compiler and never parsed. Results are kept in build/test under a hash of everything they were made from.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from './cli.ts';

const FOLDER = join(PROJECT, 'build/test');

/**
 * @param name - of the program, for people.
 * @param source - C text; it may include the headers of shim/.
 * @param files - more source files, from the project's folder.
 * @param flags - more flags of the compiler.
 * @returns the path of the program.
 * @throws Error with what the compiler said.
 */
export function compileC(
  name: string,
  source: string,
  files: readonly string[] = [],
  flags: readonly string[] = [],
): string {
  const hash = createHash('sha256').update(source).update(flags.join(' '));
  for (const file of [...files, ...globSync('shim/*.h', { cwd: PROJECT }).sort()])
    hash.update(readFileSync(join(PROJECT, file)));
  const program = join(FOLDER, `${name}-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(program)) return program;
  mkdirSync(FOLDER, { recursive: true });
  const text = `${program}.${process.pid}.c`;
  const made = `${program}.${process.pid}`;
  writeFileSync(text, source);
  const standard = ['-std=gnu17', '-Wall', '-Wextra', '-Werror', '-O1', '-g', `-I${join(PROJECT, 'shim')}`];
  execFileSync(
    process.env['CC'] ?? 'gcc',
    [...standard, ...flags, '-o', made, text, ...files.map((file) => join(PROJECT, file))],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  // Whoever is first wins; all made the same.
  renameSync(made, program);
  execFileSync('rm', ['-f', text]);
  return program;
}

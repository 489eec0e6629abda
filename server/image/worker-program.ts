/**
 * What the worker is started from: its code, Node and the one package it loads. Seen from inside its root they
 * have the paths that they have here, but nothing there is a symlink: what a path leads to is mounted at it.
 */
import { readdirSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** The project's folder. */
const PROJECT = dirname(dirname(import.meta.dirname));

/** The worker beside this file, `.ts` in the sources and `.js` when published. */
export const WORKER_PROGRAM: string = join(
  import.meta.dirname,
  `unpack-worker${import.meta.filename.slice(import.meta.filename.lastIndexOf('.'))}`,
);

/** Scope of the packages that hold koffi's library, one for each platform. */
const KOFFI_SCOPE = '@koromix';

/**
 * Host paths that the confined process must be able to read to run at all; some may not exist.
 * @param project - default the folder that this file is in. Its packages may be symlinks, as `npm link` and
 * others make them: each is named by itself, since a symlink in a folder would lead to nothing there.
 */
export function workerProgramPaths(project: string = PROJECT): string[] {
  const libraries = ['/lib', '/lib64', '/usr/lib', '/usr/lib64', '/etc/ld.so.cache'];
  const scope = join(project, 'node_modules', KOFFI_SCOPE);
  const packages = [join(project, 'node_modules', 'koffi'), ...entries(scope)];
  const ours = ['server', 'native', 'build/libmydocker.so', 'package.json'].map((name) =>
    join(project, name),
  );
  const cache = Object.values(compileCache(process.env));
  return [realpathSync(process.execPath), ...libraries, ...ours, ...packages, ...cache];
}

/**
 * Where Node finds the worker's code compiled, as environment; without it four fifths of the time to start go
 * into compiling. The worker sees it read-only, since what is in it is executed by the next one; the build
 * fills it (scripts/build.sh).
 */
export function compileCache(env: NodeJS.ProcessEnv): Record<string, string> {
  const folder = env['NODE_COMPILE_CACHE'];
  return folder === undefined || folder === '' ? {} : { NODE_COMPILE_CACHE: resolve(folder) };
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name));
  } catch {
    // A package manager that hides it has put it below koffi.
    return [];
  }
}

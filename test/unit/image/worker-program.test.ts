/** The worker's program where packages are symlinks: it runs with what it is given, and with nothing else. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { WORKER_PROGRAM, workerProgramPaths } from '../../../server/image/worker-program.ts';
import { COMPILE_ONLY } from '../../../server/image/worker-protocol.ts';

const HERE = join(import.meta.dirname, '../../..');
let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'mydocker-linked-'));
});
after(() => rmSync(folder, { recursive: true }));

/** A copy of the sources whose packages are links to ours. */
function project(name: string, linkPackages: (modules: string) => void): string {
  const path = join(folder, name);
  for (const part of ['server', 'native', 'build/libmydocker.so', 'package.json'])
    cpSync(join(HERE, part), join(path, part), { recursive: true });
  linkPackages(join(path, 'node_modules'));
  return path;
}

/** Starts the worker in a root that has these paths alone; a job that it does not know ends it at once. */
function runIn(paths: readonly string[], program: string): string {
  const root = join(folder, 'root');
  mkdirSync(root, { recursive: true });
  const mounts = paths.filter((path) => statSync(path, { throwIfNoEntry: false }) !== undefined);
  const script = `set -e; root=$1; node=$2; program=$3; shift 3
    mount -t tmpfs tmpfs "$root"; mkdir -p "$root/proc"; mount -t proc proc "$root/proc"
    for path in "$@"; do
      if [ -d "$path" ]; then mkdir -p "$root$path"; else mkdir -p "$root\${path%/*}"; : >"$root$path"; fi
      mount --bind "$path" "$root$path"
    done
    exec chroot "$root" "$node" "$program" '{"verb":"none"}' 4>&1`;
  const args = ['--mount', '--pid', '--fork', '--propagation', 'private', 'sh', '-c', script, 'sh', root];
  return execFileSync('unshare', [...args, process.execPath, program, ...mounts], { encoding: 'utf8' });
}

const cases: [name: string, linkPackages: (modules: string) => void][] = [
  ['a symlink as node_modules', (modules) => symlinkSync(join(HERE, 'node_modules'), modules)],
  [
    'symlinks as packages',
    (modules) => {
      mkdirSync(modules);
      for (const name of readdirSync(join(HERE, 'node_modules')))
        symlinkSync(join(HERE, 'node_modules', name), join(modules, name));
    },
  ],
  [
    'symlinks as packages of a scope',
    (modules) => {
      for (const name of [
        'koffi',
        ...readdirSync(join(HERE, 'node_modules/@koromix')).map((n) => `@koromix/${n}`),
      ]) {
        mkdirSync(dirname(join(modules, name)), { recursive: true });
        symlinkSync(join(HERE, 'node_modules', name), join(modules, name));
      }
    },
  ],
];
for (const [name, linkPackages] of cases) {
  test(`the worker runs with ${name}`, () => {
    const path = project(name.replaceAll(' ', '-'), linkPackages);
    assert.equal(runIn(workerProgramPaths(path), join(path, 'server/image/unpack-worker.ts')).trim(), '{}');
  });
}

test('what the build compiles is what a worker finds: nothing is compiled again', () => {
  const env = { ...process.env, NODE_COMPILE_CACHE: join(folder, 'cache') };
  const start = (job: string, more: object = {}): string => {
    const { stderr, status } = spawnSync(process.execPath, [WORKER_PROGRAM, job], {
      env: { ...env, ...more },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    });
    assert.equal(status, 0, stderr);
    return stderr;
  };
  start(COMPILE_ONLY);
  const told = start('{"verb":"none"}', { NODE_DEBUG_NATIVE: 'COMPILE_CACHE' });
  assert.match(told, /cache for \S+ file:\S+unpack-worker.ts.*success/);
  assert.doesNotMatch(told, /no transpile cache|not initialized|rejected/);
});

/** What a container can see and reach of the processes that enter it, while they enter. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { PROJECT } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { listProcesses } from '../harness/leaks.ts';
import { assertClean, importEntries, tryInside, until, WITH_PROBE } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

const hashOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
const PROGRAMS = [join(PROJECT, 'build/mydocker-shim'), process.execPath];

async function manyExecs(container: string, count: number, args: readonly string[]): Promise<void> {
  const one = async (): Promise<void> => {
    const { run } = await host.api.tasks.execTask({ container, process: { args: [...args] } });
    await host.api.tasks.waitTask({ container, runId: run?.runId ?? '' });
  };
  for (let done = 0; done < count; done += 4) await Promise.all([one(), one(), one(), one()]);
}

const QUIET = [
  /^exe \/bin\//,
  /^exe \/probe$/,
  /^root \/$/,
  /^cwd \/$/,
  /^fd (pipe|socket|anon_inode):/,
  /^fd \/dev\/(null|pts)/,
];

/** What a process inside saw of all others while something was done, but for what is allowed. */
async function seen(
  container: string,
  allowed: readonly RegExp[],
  work: () => Promise<void>,
): Promise<string[]> {
  const watcher = host.cli(['exec', container, '/probe', 'watch', '3']);
  await until(
    () => listProcesses(),
    (all) => all.some(({ command }) => command === '/probe watch 3'),
  );
  await work();
  const { stdout, stderr } = await watcher;
  assert.equal(stderr, '');
  const lines = stdout.trim().split('\n');
  assert.ok(lines.includes('exe /bin/sleep'), stdout);
  return lines.filter((line) => ![...QUIET, ...allowed].some((pattern) => pattern.test(line)));
}

test('an entering process shows no path, folder or program of the host', async () => {
  const before = PROGRAMS.map(hashOf);
  await host.ok(['run', '-d', '--name', 'watched', ...WITH_PROBE, 'busybox', 'sleep', '1000']);
  const work = async (): Promise<void> => {
    await manyExecs('watched', 120, ['true']);
    await manyExecs('watched', 40, ['/no/such']).catch(() => undefined);
  };
  assert.deepEqual(await seen('watched', [], work), []);
  assert.deepEqual(PROGRAMS.map(hashOf), before);
  await host.ok(['rm', '-f', 'watched']);
});

test('a program that is the name of itself is a sealed copy of the shim, and nothing can be written to it', async () => {
  const before = PROGRAMS.map(hashOf);
  await importEntries(host, 'self', [
    { name: 'loop', mode: 0o755, data: '#!/proc/self/exe\n' },
    { name: 'link', type: '2', link: '/proc/self/exe' },
  ]);
  // The shim's program does not work as one that a container starts: it says so with status 2.
  const outcomes = [2, 126, 127];
  for (const program of ['/loop', '/link', '/proc/self/exe']) {
    const { code, stderr } = await host.cli(['run', '--rm', 'self', program]);
    assert.ok(outcomes.includes(code), `${program}: ${code} ${stderr}`);
  }
  await host.ok(['run', '-d', '--name', 'selfish', ...WITH_PROBE, 'self', 'sleep', '1000']);
  const work = async (): Promise<void> => {
    for (const program of ['/loop', '/link', '/proc/self/exe']) await manyExecs('selfish', 40, [program]);
  };
  const memory = /^exe \/memfd:mydocker-shim \(deleted\)$/;
  assert.deepEqual(await seen('selfish', [memory], work), []);
  await host.ok(['rm', '-f', 'selfish']);
  await host.ok(['rmi', 'self']);
  assert.deepEqual(PROGRAMS.map(hashOf), before);
});

test('a task at its gate holds no descriptor of the host', async () => {
  await host.ok(['create', '--name', 'gated', 'busybox', 'sleep', '1000']);
  const { run } = await host.api.tasks.createTask({ container: 'gated' });
  const pid = run?.pid ?? 0;
  const fds = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  // Folders of the container's own tree end with its mount namespace; of the host there is none.
  const root = readlinkSync(`/proc/${pid}/root`);
  assert.equal(root, '/');
  for (const link of fds)
    assert.doesNotMatch(link, /^\/(root|etc|home|var|usr|proc\/sys|sys\/fs)/, fds.join('\n'));
  await host.ok(['rm', '-f', 'gated']);
});

test('arguments and environment: many, long, too long', async () => {
  const many = Array.from({ length: 20_000 }, (_, index) => `VARIABLE_${index}=value`);
  const config = {
    rootfs: { $case: 'image', value: 'busybox' },
    command: { values: ['sh', '-c', 'env | grep -c VARIABLE_'] },
    env: many,
  } as const;
  const { id } = await host.api.containers.createContainer({ config });
  assert.equal(await host.ok(['start', '-a', id]), '20000');
  await host.ok(['rm', id]);
  const refusedWith = async (change: object, pattern: RegExp): Promise<void> => {
    await assert.rejects(
      host.api.containers.createContainer({ config: { ...config, ...change } }),
      (error: Error) => {
        assert.match(error.message, pattern);
        return true;
      },
    );
  };
  await refusedWith(
    { env: Array.from({ length: 100_000 }, (_, index) => `VARIABLE_${index}=${'x'.repeat(20)}`) },
    /2 MiB/,
  );
  await refusedWith({ command: { values: ['echo', 'x'.repeat(200_000)] } }, /longer than 131071 bytes/);
  const long = 'y'.repeat(131_000);
  assert.equal(
    (await host.cli(['run', '--rm', 'busybox', 'sh', '-c', 'printf %s "$1" | wc -c', 'sh', long])).stdout,
    '131000\n',
  );
  await host.ok(['run', '-d', '--name', 'args', 'busybox', 'sleep', '1000']);
  await assert.rejects(
    host.api.tasks.execTask({ container: 'args', process: { args: ['true', ...Array(30).fill(long)] } }),
    (error: Error) =>
      /E2BIG|too (long|large)|2 MiB|larger/.test(error.message) && !/internal/.test(error.message),
  );
  await assert.rejects(
    host.api.tasks.execTask({ container: 'args', process: { args: ['true', 'z'.repeat(200_000)] } }),
    (error: Error) => !/internal/.test(error.message),
  );
  assert.equal(await host.ok(['exec', 'args', 'echo', 'well']), 'well');
  await host.ok(['rm', '-f', 'args']);
});

test('concurrent containers of one image do not see each other’s environment', async () => {
  const all = await Promise.all(
    Array.from({ length: 12 }, (_, index) =>
      tryInside(host, 'env | grep ^OWN_', ['-e', `OWN_${index}=${index}`]),
    ),
  );
  for (const [index, { stdout }] of all.entries()) assert.equal(stdout, `OWN_${index}=${index}\n`);
});

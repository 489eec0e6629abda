/**
 * The black-box tests of the C program once more, with a shim that the address and undefined-behaviour sanitizers
 * watch: it must pass them all the same, and the sanitizers must have nothing to say.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { exitCode, PROJECT, SLOWNESS } from '../harness/cli.ts';

/** Where the sanitizers write; see shim-sanitizer.c. */
const REPORTS = /^mydocker-sanitizer\.\d+$/;
const FILES = ['launch', 'park', 'faults', 'stdio', 'clients', 'deaths'].map(
  (name) => `test/integration/shim-${name}.test.ts`,
);
const TIMEOUT_MS = 120_000 * SLOWNESS;

/** No finding: the child of a launcher ends on the launcher's stack, which the sanitizer does not know. */
const FOREIGN_STACK =
  /^==\d+==WARNING: ASan is ignoring requested __asan_handle_no_return:.*\nFalse positive.*\nFor details.*\n/gm;

/** What the sanitizers found; read once, since the next run is judged by its own. */
function takeReports(): string[] {
  return readdirSync('/tmp')
    .filter((name) => REPORTS.test(name))
    .map((name) => {
      const text = readFileSync(join('/tmp', name), 'utf8');
      rmSync(join('/tmp', name));
      return text.replaceAll(FOREIGN_STACK, '');
    })
    .filter((text) => text !== '');
}

async function runTests(): Promise<{ code: number; output: string }> {
  const program = join(PROJECT, 'build/test/mydocker-shim');
  const env: Record<string, string | undefined> = { ...process.env, MYDOCKER_TEST_SHIM: program };
  // It is a test run of its own and not a part of this one.
  delete env['NODE_TEST_CONTEXT'];
  delete env['MYDOCKER_TEST_HOST'];
  const child = spawn(
    process.execPath,
    ['--test', '--test-reporter=spec', '--test-concurrency=2', '--test-timeout=60000', ...FILES],
    { cwd: PROJECT, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: TIMEOUT_MS, killSignal: 'SIGKILL' },
  );
  const parts: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => parts.push(chunk));
  const code = await exitCode(child);
  return { code, output: Buffer.concat(parts).toString() };
}

test('the shim passes its tests under sanitizers, which find nothing', async () => {
  execFileSync('sh', ['scripts/build-c-test.sh'], { cwd: PROJECT, stdio: 'ignore' });
  takeReports();
  const { code, output } = await runTests();
  const reports = takeReports();
  assert.deepEqual(reports, [], reports.join('\n'));
  assert.equal(code, 0, output);
  const passed = Number(/^ℹ pass (\d+)$/m.exec(output)?.[1]);
  assert.ok(passed > 90, `only ${passed} tests ran:\n${output}`);
});

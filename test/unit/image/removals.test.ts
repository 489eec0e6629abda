/** Removals behind their callers: many folders by one worker, one that fails alone, what a death leaves. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { createRemovals, type Removals } from '../../../server/image/removals.ts';
import { SILENT } from '../../../server/model/logger.ts';
import { type SpawnLauncher, spawnLauncher } from '../../fixtures/spawn-worker.ts';

let root = '';
let launcher: SpawnLauncher;
let removals: Removals;

const folder = (name: string): string => {
  const path = join(root, name);
  mkdirSync(join(path, 'deep/er'), { recursive: true });
  writeFileSync(join(path, 'deep/er/file'), 'x');
  return path;
};
const left = (): string[] => readdirSync(join(root, 'removing'));
const open = async (): Promise<void> => {
  launcher = spawnLauncher();
  removals = createRemovals(root, launcher.launch, SILENT);
  await removals.prepare();
};

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'mydocker-removals-'));
  await open();
});
afterEach(async () => {
  await removals.idle();
  rmSync(root, { recursive: true });
});

test('a hundred and twenty-seven folders are removed by one worker', async () => {
  for (let i = 0; i < 127; i += 1) await removals.take(folder(`layer-${i}`));
  assert.deepEqual(readdirSync(root), ['removing']);
  await removals.idle();
  assert.deepEqual(left(), []);
  assert.ok(launcher.requests.length <= 2, String(launcher.requests.length));
});

test('what comes while a worker runs is removed too', async () => {
  const all: Promise<void>[] = [];
  for (let i = 0; i < 40; i += 1) {
    all.push(removals.run(folder(`a-${i}`)));
    await new Promise((resolve) => setTimeout(resolve, i % 7));
  }
  await Promise.all(all);
  assert.deepEqual(left(), []);
  assert.ok(launcher.requests.length < 10, String(launcher.requests.length));
});

test('an empty folder and an absent one need no worker', async () => {
  mkdirSync(join(root, 'empty'));
  await removals.run(join(root, 'empty'));
  await removals.run(join(root, 'absent'));
  await removals.take(join(root, 'absent'));
  await removals.discard(join(root, 'absent'));
  assert.equal(existsSync(join(root, 'empty')), false);
  assert.equal(launcher.requests.length, 0);
});

test('one that cannot be removed is told, the others go', async (t) => {
  const bad = folder('bad');
  try {
    execFileSync('chattr', ['+i', join(bad, 'deep/er/file')], { stdio: 'pipe' });
  } catch {
    t.skip('the file system has no immutable files');
    return;
  }
  const good = removals.run(folder('good'));
  await assert.rejects(removals.run(bad), /^MydockerError: cannot remove folder .*bad.*: some of it stays$/);
  await good;
  assert.deepEqual(
    left().map((name) => name.replace(/-\d+$/, '')),
    ['bad'],
  );
  await removals.run(folder('later'));
  execFileSync('chattr', ['-i', join(root, 'removing', left()[0] ?? '', 'deep/er/file')]);
  await open();
  assert.equal((await removals.resume()).length, 1);
  await removals.idle();
  assert.deepEqual(left(), []);
});

test('what a death in the middle leaves is removed at the next start', async () => {
  for (let i = 0; i < 50; i += 1) await removals.take(folder(`f-${i}`));
  while (launcher.children.length === 0) await new Promise(setImmediate);
  launcher.children[0]?.kill('SIGKILL');
  await removals.idle();
  // What it had removed by then depends on the machine.
  const stay = left();
  await open();
  assert.deepEqual(await removals.resume(), stay);
  await removals.take(folder('f-1'));
  await removals.idle();
  assert.deepEqual(left(), []);
});

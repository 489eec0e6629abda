/** The server's folders: closed to others at every start. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  highestSerial,
  instanceKey,
  prepareFolders,
  readRecoverable,
} from '../../../server/ops/prepare-folders.ts';

function place(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'mydocker-folders-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const mode = (path: string): number => statSync(path).mode & 0o777;

test('folders are made, and closed again when somebody opened them', (t) => {
  const folder = place(t);
  const given = { root: join(folder, 'a/root'), state: join(folder, 'b/state') };
  const { paths, socketGid } = prepareFolders(given);
  assert.deepEqual(paths, given);
  const all = ['', '/meta', '/blobs', '/layers', '/containers'].map((name) => paths.root + name);
  const state = ['/shims', '/mount', '/mount/root'].map((name) => paths.state + name);
  mkdirSync(`${paths.state}/.listen-abc`);
  for (const path of [...all, ...state, paths.state]) chmodSync(path, 0o777);
  prepareFolders(given);
  for (const path of [...all, ...state]) assert.equal(mode(path), 0o700, path);
  assert.equal(mode(paths.state), socketGid === undefined ? 0o700 : 0o710);
  assert.ok(!existsSync(`${paths.state}/.listen-abc`));
});

test('two ways to one root are one instance', (t) => {
  const folder = place(t);
  mkdirSync(join(folder, 'root'));
  symlinkSync('root', join(folder, 'link'));
  const state = join(folder, 'state');
  const one = prepareFolders({ root: join(folder, 'root'), state });
  const two = prepareFolders({ root: join(folder, 'link'), state });
  assert.deepEqual(two, one);
  assert.match(one.instance, /^[0-9a-f]{8}$/);
  assert.notEqual(instanceKey('/a'), instanceKey('/b'));
});

test('a folder that cannot be made is named', (t) => {
  const folder = place(t);
  writeFileSync(join(folder, 'file'), '');
  assert.throws(() => prepareFolders({ root: join(folder, 'file/root'), state: join(folder, 'state') }), {
    code: 'failed-precondition',
    message: /cannot use folder .*file\/root: ENOTDIR/,
  });
});

test('what a lost store is rebuilt from is read, whatever is wrong with it', async (t) => {
  const root = prepareFolders({ root: join(place(t), 'r'), state: join(place(t), 's') }).paths.root;
  const id = 'ab'.repeat(32);
  mkdirSync(`${root}/containers/${id}`);
  mkdirSync(`${root}/containers/.rm-x`);
  assert.deepEqual(await readRecoverable(root), [{ id, record: undefined }]);
  writeFileSync(`${root}/containers/${id}/config.json`, '{"v":{"$n":"1"}}');
  assert.deepEqual(await readRecoverable(root), [{ id, record: { v: 1n } }]);
  for (const name of ['7', '.rm-12', 'init-1', '.tmp-3']) mkdirSync(`${root}/layers/${name}`);
  assert.equal(highestSerial(root), 12n);
});

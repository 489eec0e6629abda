/** What a tree takes on the disk, as du has it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { measureTrees } from '../../../server/image/measure-trees.ts';
import { treeSize } from '../../../server/image/tree-size.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mydocker-size-'));
});
afterEach(() => execFileSync('rm', ['-rf', root]));

const du = (path: string): bigint =>
  BigInt(execFileSync('du', ['-s', '-B1', path], { encoding: 'utf8' }).split('\t')[0] ?? '');

test('files, links, holes, sockets and folders', () => {
  writeFileSync(join(root, 'file'), Buffer.alloc(100_000, 'x'));
  linkSync(join(root, 'file'), join(root, 'again'));
  mkdirSync(join(root, 'folder'));
  linkSync(join(root, 'file'), join(root, 'folder/again'));
  writeFileSync(join(root, 'sparse'), 'x');
  truncateSync(join(root, 'sparse'), 1 << 30);
  symlinkSync('/usr', join(root, 'out'));
  symlinkSync('loop', join(root, 'loop'));
  execFileSync('mkfifo', [join(root, 'fifo')]);
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0x0a, 0x80])]), 'name');
  execFileSync('sync', ['-f', root]);
  const { bytes, names } = treeSize(root);
  assert.equal(bytes, du(root));
  assert.equal(names, 8);
  assert.deepEqual(treeSize(join(root, 'nosuch')), { bytes: 0n, names: 0 });
  assert.equal(treeSize(join(root, 'out')).names, 1);
});

test('three thousand folders deep, with siblings at every level', () => {
  const script =
    'for (0..2999) { mkdir "d"; mkdir "side"; mkdir "side/x"; open F, ">side/x/f"; print F 1; close F; chdir "d" }';
  execFileSync('perl', ['-e', script], { cwd: root });
  execFileSync('sync', ['-f', root]);
  const { bytes, names } = treeSize(root);
  assert.equal(names, 1 + 3000 * 4);
  assert.equal(bytes, du(root));
});

test('in a thread: in order, one after the other, ended by a signal', async () => {
  mkdirSync(join(root, 'a'));
  writeFileSync(join(root, 'b'), Buffer.alloc(5000));
  execFileSync('sync', ['-f', root]);
  const paths = [join(root, 'b'), join(root, 'nosuch'), root];
  const expected = paths.map((path) => treeSize(path));
  const [one, two] = await Promise.all([measureTrees(paths), measureTrees(paths.toReversed())]);
  assert.deepEqual(one, expected);
  assert.deepEqual(two, expected.toReversed());
  assert.deepEqual(await measureTrees([]), []);
  const abort = new AbortController();
  const measured = measureTrees(['/usr', '/usr', '/usr', '/usr', '/usr'], abort.signal);
  setTimeout(() => abort.abort(new Error('left')), 30);
  await assert.rejects(measured, /left/);
  assert.equal((await measureTrees([root])).length, 1);
});

test('a tree that changes all the time is measured all the same', async () => {
  const script =
    'while :; do mkdir -p a/b/c/d; mv a/b m; touch m/x; rm -rf a m; ln -s / a; rm a; echo > a; rm a; done';
  const { spawn } = await import('node:child_process');
  const child = spawn('sh', ['-c', script], { cwd: root, stdio: 'ignore' });
  try {
    for (let count = 0; count < 300; count += 1) assert.ok(treeSize(root).names < 20);
  } finally {
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
  }
});

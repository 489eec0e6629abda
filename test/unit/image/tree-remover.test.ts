/** Removing what a container or an archive has shaped: all of it, and nothing else. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { OPEN, openAt2, RESOLVE } from '../../../native/tree-read.ts';
import { makeDirAt, makeNodeAt } from '../../../native/tree-write.ts';
import { emptyTrees, removeTreeAt } from '../../../server/image/tree-remover.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mydocker-remove-'));
  mkdirSync(join(folder, 'tree'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function inTree<T>(step: (fd: number) => T): T {
  const fd = openSync(join(folder, 'tree'), 'r');
  try {
    return step(fd);
  } finally {
    closeSync(fd);
  }
}

describe('removing a tree', () => {
  test('takes everything in it and leaves it empty', () => {
    for (let i = 0; i < 3000; i += 1) writeFileSync(join(folder, 'tree', `file-${i}`), '');
    mkdirSync(join(folder, 'tree/a/b'), { recursive: true, mode: 0o000 });
    inTree((fd) => makeNodeAt(fd, Buffer.from('whiteout'), 0o020000, 0, 0));
    inTree((fd) => makeNodeAt(fd, Buffer.from('fifo'), 0o010600, 0, 0));
    assert.deepEqual(inTree(emptyTrees), { removed: 3004, failed: [] });
    assert.deepEqual(readdirSync(join(folder, 'tree')), []);
  });

  test('does not follow symlinks', () => {
    mkdirSync(join(folder, 'canary'));
    writeFileSync(join(folder, 'canary/f'), '');
    symlinkSync(join(folder, 'canary'), join(folder, 'tree/l'));
    symlinkSync('/', join(folder, 'tree/root'));
    inTree(emptyTrees);
    assert.deepEqual([readdirSync(join(folder, 'tree')), readdirSync(join(folder, 'canary'))], [[], ['f']]);
  });

  test('takes one name, deeper than any path can say', () => {
    const resolve = RESOLVE.beneath | RESOLVE.noSymlinks;
    let fd = openSync(join(folder, 'tree'), 'r');
    for (let depth = 0; depth < 5000; depth += 1) {
      makeDirAt(fd, Buffer.from('d'), 0o755);
      const next = openAt2(fd, 'd', { flags: OPEN.path | OPEN.directory, resolve });
      closeSync(fd);
      fd = next;
    }
    closeSync(fd);
    writeFileSync(join(folder, 'tree/.removing-0'), 'in the way');
    writeFileSync(join(folder, 'tree/kept'), '');
    assert.equal(
      inTree((top) => removeTreeAt(top, Buffer.from('d'))),
      5000,
    );
    assert.deepEqual(readdirSync(join(folder, 'tree')).sort(), ['.removing-0', 'kept']);
  });

  test('stops at a mount, and removes what is beside it', () => {
    mkdirSync(join(folder, 'tree/a/b/c'), { recursive: true });
    mkdirSync(join(folder, 'tree/mnt'));
    mkdirSync(join(folder, 'tree/z'));
    const script = `
      import { openSync } from 'node:fs';
      import { emptyTrees } from '${join(import.meta.dirname, '../../../server/image/tree-remover.ts')}';
      console.log(emptyTrees(openSync('${folder}/tree', 'r')).failed.join());`;
    const mounted =
      'mount -t tmpfs none "$0/tree/mnt" && touch "$0/tree/mnt/f" && "$@"; ls "$0/tree" "$0/tree/mnt" | tail -n 2; ls "$0/tree"';
    const node = [process.execPath, '--input-type=module', '-e', script];
    const { stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', mounted, folder, ...node], {
      encoding: 'utf8',
    });
    assert.equal(stdout.replaceAll(folder, ''), 'mnt\n/tree/mnt:\nf\nmnt\n', stderr);
  });

  test('leaves no descriptor open', () => {
    const count = (): number => readdirSync('/proc/self/fd').length;
    mkdirSync(join(folder, `tree/${'d/'.repeat(200)}`), { recursive: true });
    const before = count();
    inTree(emptyTrees);
    assert.equal(count(), before);
  });
});

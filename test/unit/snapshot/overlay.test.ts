/** The stack of layers: what the plan is told to mount, and a look-up that sees what the kernel would show. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chownSync,
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeNodeAt, setXattrFd } from '../../../native/tree-write.ts';
import { ensureInitLayer, initLayerFolder } from '../../../server/snapshot/init-layer.ts';
import { readMergedFile } from '../../../server/snapshot/lookup.ts';
import { OVERLAY_OPTIONS, overlaySnapshotter } from '../../../server/snapshot/overlay.ts';

const MAX = 1 << 20;

function tree(folder: string, files: Readonly<Record<string, string>>): string {
  for (const [path, content] of Object.entries(files)) {
    const parent = join(folder, path, '..');
    mkdirSync(parent, { recursive: true });
    if (content.startsWith('-> ')) symlinkSync(content.slice(3), join(folder, path));
    else writeFileSync(join(folder, path), content);
  }
  return folder;
}

function withDirectory(path: string, step: (fd: number) => void): void {
  const fd = openSync(path, 'r');
  try {
    step(fd);
  } finally {
    closeSync(fd);
  }
}

const whiteout = (path: string, name: string): void =>
  withDirectory(path, (fd) => makeNodeAt(fd, Buffer.from(name), 0o020000, 0, 0));
const opaque = (path: string): void =>
  withDirectory(path, (fd) => setXattrFd(fd, 'trusted.overlay.opaque', Buffer.from('y')));

describe('a look-up in a stack of layers', () => {
  let folder = '';
  let dirs: string[] = [];
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mydocker-lookup-'));
    tree(join(folder, 'base'), {
      'etc/passwd': 'base',
      'etc/group': 'base',
      'etc/deep/a': 'base',
      'gone/f': 'base',
      'opaque/f': 'base',
      'file-over-dir/f': 'base',
      'dir-over-file': 'base',
      'under-file': 'base',
      'usr/lib/os-release': 'base',
      'etc/os-release': '-> ../usr/lib/os-release',
      'etc/absolute': '-> /usr/lib/os-release',
      'etc/out': '-> ../../../../../../usr/lib/os-release',
      'etc/dangling': '-> nowhere',
      'etc/a': '-> b',
      'etc/b': '-> a',
      lib: '-> usr/lib',
    });
    tree(join(folder, 'middle'), {
      'etc/group': 'middle',
      'opaque/g': 'middle',
      'file-over-dir': 'middle',
      'dir-over-file/f': 'middle',
      'usr/lib/os-release': 'middle',
      'reborn/f': 'middle',
    });
    whiteout(join(folder, 'middle'), 'gone');
    whiteout(join(folder, 'middle', 'etc'), 'passwd');
    opaque(join(folder, 'middle', 'opaque'));
    tree(join(folder, 'top'), { 'etc/passwd': 'top', 'gone/g': 'top', 'under-file/f': 'top' });
    whiteout(join(folder, 'top'), 'reborn');
    dirs = ['top', 'middle', 'base'].map((name) => join(folder, name));
  });
  after(() => rmSync(folder, { recursive: true }));

  const paths = [
    ...['/etc/passwd', 'etc/group', 'etc/deep/a', 'gone/f', 'gone/g', 'opaque/f', 'opaque/g', 'reborn/f'],
    ...['file-over-dir', 'dir-over-file/f', 'under-file/f', 'etc/os-release', 'etc/absolute', 'etc/out'],
    ...[
      'lib/os-release',
      'lib/../../etc/./group',
      '../../etc/group',
      'etc/dangling',
      'nowhere/f',
      'etc/passwd/f',
    ],
  ];
  test('sees what overlayfs shows', () => {
    const merged = join(folder, 'merged');
    mkdirSync(merged);
    const seen = spawnSync(
      'unshare',
      [
        ...[
          '-m',
          'sh',
          '-c',
          'mount -t overlay -o "$0" overlay "$1" && merged=$1 && shift && for p; do cat "$merged/$p" 2>/dev/null || printf -; printf ,; done',
        ],
        ...[`lowerdir=${dirs.join(':')},${OVERLAY_OPTIONS}`, merged],
        // The host's root is no container's: absolute symlinks are left out here and checked below.
        ...paths.filter((path) => !/absolute|out|\.\.\//.test(path)),
      ],
      { encoding: 'utf8' },
    );
    const mine = paths
      .filter((path) => !/absolute|out|\.\.\//.test(path))
      .map((path) => `${readMergedFile(dirs, path, MAX)?.toString() ?? '-'},`);
    assert.equal(mine.join(''), seen.stdout, seen.stderr);
    assert.match(seen.stdout, /^top,middle,base,-,top,-,middle,-,middle,middle,top,middle,/);
  });

  test('stays inside the root', () => {
    for (const path of [
      'etc/absolute',
      'etc/out',
      'lib/../../usr/lib/os-release',
      '/../..//usr/lib/os-release',
    ]) {
      assert.equal(readMergedFile(dirs, path, MAX)?.toString(), 'middle', path);
    }
    assert.equal(readMergedFile(dirs, '../../../../../../../../etc/group', MAX)?.toString(), 'middle');
  });

  test('refuses what is no file, without opening it', () => {
    const root = join(folder, 'base');
    spawnSync('mkfifo', [join(root, 'etc/fifo')]);
    withDirectory(join(root, 'etc'), (fd) => makeNodeAt(fd, Buffer.from('zero'), 0o020666, 1, 5));
    for (const path of ['etc/fifo', 'etc/zero', 'etc', '/']) {
      assert.throws(() => readMergedFile(dirs, path, MAX), {
        code: 'invalid-argument',
        reason: 'FILE_NOT_REGULAR',
      });
    }
    assert.throws(() => readMergedFile(dirs, 'etc/a', MAX), /too many symlinks/);
  });

  test('refuses a file that is too large, sparse or not', () => {
    const path = join(folder, 'base/etc/huge');
    writeFileSync(path, '');
    truncateSync(path, 2 ** 40);
    assert.throws(() => readMergedFile(dirs, 'etc/huge', MAX), { reason: 'FILE_TOO_LARGE' });
  });

  test('leaves no descriptor open', () => {
    const count = (): number => readdirSync('/proc/self/fd').length;
    const before = count();
    for (const path of [...paths, 'etc/a', 'etc/fifo']) {
      try {
        readMergedFile(dirs, path, MAX);
      } catch {
        // what it throws is tested above
      }
    }
    assert.equal(count(), before);
  });
});

describe('the overlay snapshotter', () => {
  let root = '';
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'mydocker-snapshot-'));
    mkdirSync(join(root, 'layers/7'), { recursive: true, mode: 0o700 });
    mkdirSync(join(root, 'layers/3'));
    mkdirSync(join(root, 'containers/c'), { recursive: true });
    const umask = process.umask(0o077);
    ensureInitLayer(root);
    process.umask(umask);
  });
  after(() => rmSync(root, { recursive: true }));

  test('has an init layer with everything that a start mounts on', () => {
    const init = initLayerFolder(root);
    const found = readdirSync(init, { recursive: true, encoding: 'utf8' }).sort();
    assert.deepEqual(found, [
      ...['dev', 'dev/console', 'dev/pts', 'dev/shm', 'etc', 'etc/hostname', 'etc/hosts', 'etc/mtab'],
      ...['etc/resolv.conf', 'proc', 'sys'],
    ]);
    assert.equal(readlinkSync(join(init, 'etc/mtab')), '/proc/mounts');
    for (const name of ['.', 'etc', 'dev/pts'])
      assert.equal(statSync(join(init, name)).mode & 0o7777, 0o755, name);
    assert.ok(lstatSync(join(init, 'dev/console')).isFile());
  });

  test('makes it once, also over what a killed server left', () => {
    const inode = statSync(initLayerFolder(root)).ino;
    ensureInitLayer(root);
    assert.equal(statSync(initLayerFolder(root)).ino, inode);
    rmSync(initLayerFolder(root), { recursive: true });
    mkdirSync(join(root, 'layers/.tmp-init-1/half'), { recursive: true });
    ensureInitLayer(root);
    assert.equal(readdirSync(initLayerFolder(root)).includes('half'), false);
  });

  test('puts the image’s root mode on the container’s root, once', () => {
    const snapshotter = overlaySnapshotter(root);
    const folder = join(root, 'containers/c');
    chownSync(join(root, 'layers/7'), 5, 6);
    snapshotter.prepare(folder, [7n, 3n]);
    const { mode, uid, gid } = statSync(join(folder, 'upper'));
    assert.deepEqual([mode & 0o7777, uid, gid], [0o700, 5, 6]);
    chownSync(join(folder, 'upper'), 9, 9);
    snapshotter.prepare(folder, [7n, 3n]);
    assert.equal(statSync(join(folder, 'upper')).uid, 9);
    assert.deepEqual(snapshotter.rootfs(folder, [7n, 3n]), {
      kind: 'overlay',
      lowerDirs: [initLayerFolder(root), join(root, 'layers/7'), join(root, 'layers/3')],
      upperDir: join(folder, 'upper'),
      workDir: join(folder, 'work'),
      options: 'redirect_dir=off,metacopy=off,index=off,xino=off',
    });
  });

  test('says which layer is gone', () => {
    const folder = join(root, 'containers/d');
    mkdirSync(folder);
    assert.throws(() => overlaySnapshotter(root).prepare(folder, [8n]), {
      code: 'data-loss',
      reason: 'LAYER_MISSING',
    });
  });

  test('hides an image’s /etc symlink and devices, keeps its files in /etc', () => {
    tree(join(root, 'layers/3'), { 'etc/passwd': 'image', 'etc/hosts': '-> /canary', dev: '-> /canary' });
    const snapshotter = overlaySnapshotter(root);
    assert.equal(snapshotter.readFile(undefined, [3n], '/etc/passwd', MAX)?.toString(), 'image');
    assert.equal(snapshotter.readFile(undefined, [3n], '/etc/hosts', MAX)?.toString(), '');
    tree(join(root, 'layers/7'), { etc: '-> /canary' });
    assert.equal(snapshotter.readFile(undefined, [7n, 3n], '/etc/passwd', MAX), undefined);
  });

  test('serves a hundred and twenty-seven layers', () => {
    const serials = Array.from({ length: 127 }, (_, i) => BigInt(1000 + i));
    for (const serial of serials)
      tree(join(root, 'layers', String(serial)), { [`f${serial}`]: String(serial) });
    const snapshotter = overlaySnapshotter(root);
    assert.equal(snapshotter.readFile(undefined, serials, 'f1126', MAX)?.toString(), '1126');
  });
});

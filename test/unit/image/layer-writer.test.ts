/** What an archive unpacks to: every kind of entry, with all that belongs to it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, lstatSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { describe, test } from 'node:test';
import { metaHeader, padded, paxRecord, type RawEntry, rawTar } from '../../fixtures/raw-tar.ts';
import { sandbox, xattr } from './unpack-here.ts';

const OPAQUE = 'trusted.overlay.opaque';

describe('unpacking makes', () => {
  test('files with owner, mode and time to the nanosecond', async () => {
    using box = sandbox();
    const summary = await box.unpack(
      rawTar([
        {
          name: 'bin/su',
          data: 'x'.repeat(70_000),
          mode: 0o6755,
          uid: 12,
          gid: 34,
          pax: { mtime: '100.000000007' },
        },
      ]),
    );
    const status = lstatSync(box.path('bin/su'), { bigint: true });
    assert.deepEqual(
      [status.mode & 0o7777n, status.uid, status.gid, status.mtimeNs, status.size],
      [0o6755n, 12n, 34n, 100_000_000_007n, 70_000n],
    );
    assert.deepEqual([summary.entries, summary.unpackedBytes], [1, 70_000]);
  });

  test('parents that the archive does not have, 0755 whatever the umask', async () => {
    using box = sandbox();
    const umask = process.umask(0o077);
    try {
      await box.unpack(rawTar([{ name: 'a/b/c' }]));
    } finally {
      process.umask(umask);
    }
    for (const name of ['a', 'a/b', '.']) assert.equal(lstatSync(box.path(name)).mode & 0o7777, 0o755, name);
  });

  test('directories whose mode and time hold though files came later', async () => {
    using box = sandbox();
    await box.unpack(
      rawTar([
        { name: './', mode: 0o711, uid: 9, mtime: 5 },
        { name: 'd/', mode: 0o1777, gid: 7, mtime: 6 },
        { name: 'd/sealed/', mode: 0o000, mtime: 7 },
        { name: 'd/sealed/f' },
      ]),
    );
    const seen = ['.', 'd', 'd/sealed'].map((name) => {
      const { mode, uid, gid, mtimeMs } = lstatSync(box.path(name));
      return [mode & 0o7777, uid, gid, mtimeMs / 1000];
    });
    assert.deepEqual(seen, [
      [0o711, 9, 0, 5],
      [0o1777, 0, 7, 6],
      [0o000, 0, 0, 7],
    ]);
  });

  test('symlinks as they are, with owner and time', async () => {
    using box = sandbox();
    const long = 't'.repeat(4095);
    await box.unpack(
      rawTar([
        { name: 'l', type: '2', link: '/canary/nowhere', uid: 3, mtime: 8 },
        { name: 'long', type: '2', pax: { linkpath: long } },
      ]),
    );
    assert.equal(readlinkSync(box.path('l')), '/canary/nowhere');
    assert.equal(readlinkSync(box.path('long')), long);
    assert.deepEqual([lstatSync(box.path('l')).uid, lstatSync(box.path('l')).mtimeMs], [3, 8000]);
  });

  test('hard links, to absolute targets and to symlinks too', async () => {
    using box = sandbox();
    await box.unpack(
      rawTar([
        { name: 'f', data: 'x', mode: 0o4711 },
        { name: 'd/a', type: '1', link: '/f', mode: 0o777, uid: 99 },
        { name: 's', type: '2', link: '/etc/passwd' },
        { name: 't', type: '1', link: './s', mode: 0o777 },
        { name: 'f', type: '1', link: 'f' },
      ]),
    );
    const status = lstatSync(box.path('f'));
    assert.deepEqual(
      [status.nlink, status.ino, status.mode & 0o7777, status.uid],
      [2, lstatSync(box.path('d/a')).ino, 0o4711, 0],
    );
    assert.equal(lstatSync(box.path('t')).ino, lstatSync(box.path('s')).ino);
  });

  test('devices and fifos', async () => {
    using box = sandbox();
    await box.unpack(
      rawTar([
        { name: 'null', type: '3', major: 1, minor: 3, mode: 0o666 },
        { name: 'sda', type: '4', major: 259, minor: 0xfffff, mode: 0o660, gid: 6 },
        { name: 'fifo', type: '6', mode: 0o622 },
      ]),
    );
    const stat = spawnSync('stat', ['-c', '%F %t %T %a %g', 'null', 'sda', 'fifo'], {
      cwd: box.root,
      encoding: 'utf8',
    });
    assert.equal(
      stat.stdout,
      'character special file 1 3 666 0\nblock special file 103 fffff 660 6\nfifo 0 0 622 0\n',
    );
  });

  test('names in any bytes', async () => {
    using box = sandbox();
    const names = ['new\nline', 'back\\slash', 'C:', '\x1b[31m', 'é', 'e\u0301', 'A', 'a'].map((name) =>
      Buffer.from(name),
    );
    names.push(Buffer.from([0xff, 0xfe]), Buffer.alloc(255, 0x6e));
    await box.unpack(rawTar(names.map((name) => ({ name: 'x', pax: { path: name } }))));
    const found = readdirSync(box.root, { encoding: 'buffer' }).map((name) => name.toString('latin1'));
    assert.deepEqual(found.sort(), names.map((name) => name.toString('latin1')).sort());
  });

  test('a path of two thousand levels', async () => {
    using box = sandbox();
    const name = `${'d/'.repeat(2000)}f`;
    await box.unpack(rawTar([{ name: 'x', pax: { path: name }, data: 'deep' }]));
    assert.equal(spawnSync('cat', [name], { cwd: box.root, encoding: 'utf8' }).stdout, 'deep');
  });

  test('sparse files with their holes', async () => {
    using box = sandbox();
    const map = {
      'GNU.sparse.major': '1',
      'GNU.sparse.minor': '0',
      'GNU.sparse.realsize': String(2 ** 30),
      'GNU.sparse.name': 's',
    };
    const data = Buffer.concat([padded(Buffer.from('2\n4096\n3\n8192\n2\n')), Buffer.from('abcde')]);
    await box.unpack(rawTar([{ name: 'x', pax: map, data }]));
    const status = lstatSync(box.path('s'));
    assert.equal(status.size, 2 ** 30);
    assert.ok(status.blocks < 100, `${status.blocks} blocks`);
    const fd = openSync(box.path('s'), 'r');
    closeSync(fd);
    const text = spawnSync('sh', ['-c', 'head -c 8194 s | tr -d "\\0"'], { cwd: box.root, encoding: 'utf8' });
    assert.equal(text.stdout, 'abcde');
  });

  test('attributes of an archive, and file capabilities after the owner', async () => {
    using box = sandbox();
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    const summary = await box.unpack(
      rawTar([
        {
          name: 'ping',
          uid: 5,
          mode: 0o4755,
          pax: {
            'SCHILY.xattr.security.capability': capability,
            'SCHILY.xattr.user.note': 'n',
            'SCHILY.xattr.security.selinux': 'x',
          },
        },
        { name: 'd/', pax: { 'SCHILY.xattr.user.dir': Buffer.from([0, 255]) } },
      ]),
    );
    assert.equal(xattr(box.path('ping'), 'security.capability'), capability.toString('latin1'));
    assert.equal(xattr(box.path('ping'), 'user.note'), 'n');
    assert.equal(xattr(box.path('d'), 'user.dir'), '\0\xff');
    assert.equal(xattr(box.path('ping'), 'security.selinux'), undefined);
    assert.deepEqual([lstatSync(box.path('ping')).mode & 0o7777, summary.droppedXattrs], [0o4755, 1]);
  });
});

describe('a later entry', () => {
  const cases: [name: string, entries: RawEntry[], path: string, kind: string][] = [
    [
      'replaces a file',
      [
        { name: 'a', data: 'old' },
        { name: 'a', data: 'new' },
      ],
      'a',
      'regular file',
    ],
    ['makes a directory of a file', [{ name: 'a' }, { name: 'a/' }, { name: 'a/b' }], 'a', 'directory'],
    [
      'makes a file of a full directory',
      [{ name: 'a/b/c' }, { name: 'a/d' }, { name: 'a' }],
      'a',
      'regular empty file',
    ],
    [
      'makes a directory of a symlink',
      [{ name: 'b/x' }, { name: 'a', type: '2', link: 'b' }, { name: 'a/' }],
      'a',
      'directory',
    ],
    [
      'makes a symlink of a directory',
      [{ name: 'a/b' }, { name: 'a', type: '2', link: '/etc' }],
      'a',
      'symbolic link',
    ],
    [
      'makes a file of a symlink',
      [
        { name: 'a', type: '2', link: '/canary/f' },
        { name: 'a', data: 'x' },
      ],
      'a',
      'regular file',
    ],
    [
      'makes a hard link of a file',
      [{ name: 'b', data: 'b' }, { name: 'a' }, { name: 'a', type: '1', link: 'b' }],
      'a',
      'regular file',
    ],
  ];
  for (const [name, entries, path, kind] of cases) {
    test(name, async () => {
      using box = sandbox();
      const outside = box.outside();
      await box.unpack(rawTar(entries));
      assert.equal(spawnSync('stat', ['-c', '%F', box.path(path)], { encoding: 'utf8' }).stdout.trim(), kind);
      assert.equal(box.outside(), outside);
    });
  }

  test('keeps what is in a directory, and gives it a new owner', async () => {
    using box = sandbox();
    await box.unpack(rawTar([{ name: 'a/', uid: 1 }, { name: 'a/b' }, { name: 'a/', uid: 2, mode: 0o700 }]));
    assert.deepEqual([lstatSync(box.path('a')).uid, readdirSync(box.path('a'))], [2, ['b']]);
  });

  test('does not give a directory’s looks to what took its place', async () => {
    using box = sandbox();
    await box.unpack(
      rawTar([
        { name: 'b/', mode: 0o755 },
        { name: 'a/', mode: 0o777, uid: 5 },
        { name: 'a', type: '2', link: 'b' },
      ]),
    );
    assert.deepEqual([lstatSync(box.path('b')).uid, lstatSync(box.path('b')).mode & 0o7777], [0, 0o755]);
  });
});

describe('whiteouts', () => {
  const isWhiteout = (path: string): boolean => {
    const status = lstatSync(path);
    return status.isCharacterDevice() && status.rdev === 0;
  };

  test('become what overlayfs takes for them', async () => {
    using box = sandbox();
    await box.unpack(
      rawTar([{ name: 'd/.wh.gone' }, { name: 'o/' }, { name: 'o/.wh..wh..opq' }, { name: '.wh.top' }]),
      { base: false },
    );
    assert.ok(isWhiteout(box.path('d/gone')));
    assert.ok(isWhiteout(box.path('top')));
    assert.equal(xattr(box.path('o'), OPAQUE), 'y');
  });

  test('do not touch what is in the same layer, in any order', async () => {
    using box = sandbox();
    await box.unpack(
      rawTar([
        { name: '.wh.a' },
        { name: 'a', data: 'own' },
        { name: 'b', data: 'own' },
        { name: '.wh.b' },
        { name: '.wh.c' },
        { name: 'c/own' },
        { name: 'd/own' },
        { name: '.wh.d' },
        { name: '.wh.e' },
        { name: 'e/' },
      ]),
      { base: false },
    );
    for (const name of ['a', 'b']) assert.equal(readFileSync(box.path(name), 'utf8'), 'own');
    for (const name of ['c', 'd', 'e']) assert.equal(xattr(box.path(name), OPAQUE), 'y', name);
    assert.deepEqual([readdirSync(box.path('c')), readdirSync(box.path('d'))], [['own'], ['own']]);
  });

  test('hide nothing in the lowest layer and are left out there', async () => {
    using box = sandbox();
    const summary = await box.unpack(
      rawTar([{ name: 'd/.wh.gone' }, { name: '.wh..wh..opq' }, { name: '.wh..wh.plnk/1.2' }, { name: 'f' }]),
    );
    assert.deepEqual(readdirSync(box.root), ['f']);
    assert.equal(summary.droppedEntries, 3);
  });

  test('cannot be forged as device or attribute', async () => {
    using box = sandbox();
    const markers = {
      [`SCHILY.xattr.${OPAQUE}`]: 'y',
      'SCHILY.xattr.trusted.overlay.redirect': '/x',
      'SCHILY.xattr.user.overlay.opaque': 'y',
    };
    const summary = await box.unpack(
      rawTar([
        { name: 'w', type: '3' },
        { name: 'd/', pax: markers },
        { name: 'f', pax: { 'SCHILY.xattr.trusted.overlay.metacopy': '' } },
        { name: './', pax: markers },
      ]),
      { base: false },
    );
    assert.deepEqual(readdirSync(box.root).sort(), ['d', 'f']);
    for (const name of [
      OPAQUE,
      'trusted.overlay.redirect',
      'user.overlay.opaque',
      'trusted.overlay.metacopy',
    ]) {
      for (const path of ['d', 'f', '.'])
        assert.equal(xattr(box.path(path), name), undefined, `${path} ${name}`);
    }
    assert.deepEqual([summary.droppedEntries, summary.droppedXattrs], [1, 7]);
  });
});

test('a global header and a real entry together', async () => {
  using box = sandbox();
  await box.unpack(rawTar([metaHeader('g', paxRecord('mtime', '4')), { name: 'f' }]));
  assert.equal(lstatSync(box.path('f')).mtimeMs, 4000);
});

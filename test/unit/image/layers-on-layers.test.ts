/**
 * Layers on layers: what an archive says is put on what the layers below show, as the peers do it. Each case is
 * looked at twice: in the layer that was made, and through overlayfs, which is what a container sees.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { describe, test } from 'node:test';
import { type RawEntry, rawTar } from '../../fixtures/raw-tar.ts';
import { merged, sandbox, xattr } from './unpack-here.ts';

const OPAQUE = 'trusted.overlay.opaque';
const dir = (name: string, more: Partial<RawEntry> = {}): RawEntry => ({ name: `${name}/`, ...more });
const link = (name: string, target: string): RawEntry => ({ name, type: '2', link: target });
const hard = (name: string, target: string): RawEntry => ({ name, type: '1', link: target });
const file = (name: string, data = name): RawEntry => ({ name, data });

describe('directories that the archive implies', () => {
  test('look as in the layers below', async () => {
    using box = sandbox();
    await box.under(
      rawTar([
        dir('a', { mode: 0o1777, uid: 5, gid: 6, mtime: 1000, pax: { 'SCHILY.xattr.user.k': 'v' } }),
        dir('a/b', { mode: 0o700, uid: 7, mtime: 2000 }),
        file('a/b/old'),
      ]),
    );
    await box.unpack(rawTar([file('a/b/c/new')]));
    const [a, b, c] = ['a', 'a/b', 'a/b/c'].map((path) => lstatSync(box.path(path)));
    assert.deepEqual([a?.mode, a?.uid, a?.gid, a?.mtimeMs], [0o41777, 5, 6, 1_000_000]);
    assert.deepEqual([b?.mode, b?.uid, b?.gid, b?.mtimeMs], [0o40700, 7, 0, 2_000_000]);
    assert.deepEqual([c?.mode, c?.uid], [0o40755, 0]);
    assert.equal(xattr(box.path('a'), 'user.k'), 'v');
    assert.deepEqual(
      merged(box).map(({ path }) => path),
      ['.', 'a', 'a/b', 'a/b/c', 'a/b/c/new', 'a/b/old'],
    );
  });

  test('look as the archive says later', async () => {
    using box = sandbox();
    await box.under(rawTar([dir('a', { mode: 0o700, uid: 5 })]));
    await box.unpack(rawTar([file('a/f'), dir('a', { mode: 0o711, uid: 9 })]));
    assert.deepEqual([lstatSync(box.path('a')).mode, lstatSync(box.path('a')).uid], [0o40711, 9]);
  });

  test('the root keeps its looks, too', async () => {
    using box = sandbox();
    await box.under(rawTar([dir('.', { mode: 0o711, uid: 3, mtime: 77 })]));
    await box.unpack(rawTar([file('f')]));
    const { mode, uid, mtimeMs } = lstatSync(box.root);
    assert.deepEqual([mode, uid, mtimeMs], [0o40711, 3, 77_000]);
  });

  test('take the looks of the topmost layer that has them, and of none that is hidden', async () => {
    using box = sandbox();
    await box.under(
      rawTar([dir('a', { uid: 1 }), dir('h', { uid: 1 }), dir('o', { uid: 1 }), dir('o/in', { uid: 1 })]),
    );
    await box.under(rawTar([dir('a', { uid: 2 }), file('.wh.h', ''), dir('o'), file('o/.wh..wh..opq', '')]));
    await box.unpack(rawTar([file('a/f'), file('h/f'), file('o/in/f')]));
    const owner = (path: string): number => lstatSync(box.path(path)).uid;
    assert.deepEqual([owner('a'), owner('h'), owner('o/in')], [2, 0, 0]);
    assert.deepEqual(
      merged(box).map(({ path }) => path),
      ['.', 'a', 'a/f', 'h', 'h/f', 'o', 'o/in', 'o/in/f'],
    );
  });
});

describe('parents that are symlinks of a layer below', () => {
  const cases: [name: string, below: RawEntry[][], entry: string, path: string][] = [
    ['relative', [[dir('usr/bin', { uid: 4 }), link('bin', 'usr/bin')]], 'bin/sh', 'usr/bin/sh'],
    ['absolute', [[dir('usr/bin', { uid: 4 }), link('d/bin', '/usr/bin')]], 'd/bin/sh', 'usr/bin/sh'],
    ['up and out', [[dir('etc', { uid: 4 }), link('a/b/l', '../../../../etc')]], 'a/b/l/f', 'etc/f'],
    ['in a row', [[dir('d', { uid: 4 }), link('a', 'b'), link('b', '/c/../d')], [dir('c')]], 'a/f', 'd/f'],
    ['of a layer between', [[dir('d', { uid: 4 }), dir('l')], [link('l', 'd')]], 'l/f', 'd/f'],
    ['to nothing', [[link('l', 'x/y')]], 'l/f', 'x/y/f'],
    ['to the canary', [[link('l', 'CANARY')]], 'l/f', 'CANARY/f'],
  ];
  for (const [name, below, entry, path] of cases) {
    test(`${name}: followed inside the root`, async () => {
      using box = sandbox();
      for (const entries of below) {
        await box.under(rawTar(entries.map((e) => (e.link === 'CANARY' ? { ...e, link: box.canary } : e))));
      }
      const outside = box.outside();
      await box.unpack(rawTar([file(entry, 'x')]));
      const place = path.replace('CANARY/', `${box.canary.slice(1)}/`);
      assert.equal(readFileSync(box.path(place), 'utf8'), 'x');
      assert.equal(box.outside(), outside);
      if (path.startsWith('CANARY') || path.startsWith('x/')) return;
      assert.equal(lstatSync(box.path(path.split('/').slice(0, -1).join('/'))).uid, 4);
    });
  }

  test('in a circle: refused', async () => {
    using box = sandbox();
    await box.under(rawTar([link('a', 'b'), link('b', 'a')]));
    await assert.rejects(box.unpack(rawTar([file('a/f')])), /entry a\/f: .*circle/);
  });

  test('directories, whiteouts and opaque marks go where the symlink leads', async () => {
    using box = sandbox();
    await box.under(rawTar([file('d/a'), file('d/o/b'), dir('d/e'), link('l', '/d')]));
    await box.unpack(
      rawTar([file('l/.wh.a', ''), file('l/o/.wh..wh..opq', ''), dir('l/e', { mode: 0o700, uid: 8 })]),
    );
    assert.ok(lstatSync(box.path('d/a')).isCharacterDevice());
    assert.equal(xattr(box.path('d/o'), OPAQUE), 'y');
    assert.deepEqual([lstatSync(box.path('d/e')).mode, lstatSync(box.path('d/e')).uid], [0o40700, 8]);
    assert.deepEqual(
      merged(box).map(({ path }) => path),
      ['.', 'd', 'd/e', 'd/o', 'l'],
    );
  });

  test('what is no directory in a layer below is refused as parent', async () => {
    using box = sandbox();
    await box.under(rawTar([file('f'), link('l', 'f')]));
    for (const name of ['f/x', 'l/x'])
      await assert.rejects(box.unpack(rawTar([file(name)])), /f above it is no directory/);
  });
});

describe('kinds that change between layers', () => {
  const cases: [name: string, below: RawEntry[], entries: RawEntry[], seen: string[]][] = [
    ['a file over a directory', [file('a/x')], [file('a')], ['a f']],
    [
      'a directory over a symlink',
      [file('d/x'), link('l', 'd')],
      [dir('l'), file('l/y')],
      ['d d', 'd/x f', 'l d', 'l/y f'],
    ],
    ['a symlink over a directory', [file('l/x'), dir('d')], [link('l', 'd')], ['d d', 'l l']],
    [
      'a symlink over a directory, then below it',
      [file('l/x'), dir('d')],
      [link('l', 'd'), file('l/y')],
      ['d d', 'd/y f', 'l l'],
    ],
    ['a file over a symlink', [link('l', 'd'), dir('d')], [file('l')], ['d d', 'l f']],
    [
      'a whiteout, then a directory',
      [file('a/x')],
      [file('.wh.a', ''), dir('a'), file('a/y')],
      ['a d', 'a/y f'],
    ],
    ['a file, then a directory', [file('a/x')], [file('a'), dir('a'), file('a/y')], ['a d', 'a/y f']],
    [
      'a directory again, whose files stay',
      [file('a/x')],
      [dir('a'), file('a/y')],
      ['a d', 'a/x f', 'a/y f'],
    ],
    [
      'an opaque directory',
      [file('a/x'), file('a/z')],
      [dir('a'), file('a/z'), file('a/.wh..wh..opq', '')],
      ['a d', 'a/z f'],
    ],
    [
      'an opaque directory, marked first',
      [file('a/x')],
      [file('a/.wh..wh..opq', ''), file('a/z')],
      ['a d', 'a/z f'],
    ],
    [
      'a whiteout of what the layer has',
      [file('a'), file('b/x')],
      [file('a', 'own'), file('.wh.a', ''), file('b/y'), file('.wh.b', '')],
      ['a f', 'b d', 'b/y f'],
    ],
    ['a whiteout of nothing', [file('a')], [file('.wh.n', '')], ['a f']],
    ['a whiteout of a directory', [file('a/b/c')], [file('a/.wh.b', '')], ['a d']],
    ['a device over a file', [file('a')], [{ name: 'a', type: '3', major: 1, minor: 3 }], ['a c']],
  ];
  for (const [name, below, entries, seen] of cases) {
    test(name, async () => {
      using box = sandbox();
      await box.under(rawTar(below));
      await box.unpack(rawTar(entries));
      assert.deepEqual(
        merged(box)
          .slice(1)
          .map(({ path, kind }) => `${path} ${kind}`),
        seen,
      );
    });
  }

  test('a directory over a file, said first', async () => {
    using box = sandbox();
    await box.under(rawTar([file('a')]));
    await box.unpack(rawTar([dir('a'), file('a/x')]));
    assert.deepEqual(
      merged(box).map(({ path }) => path),
      ['.', 'a', 'a/x'],
    );
  });
});

describe('hard links to a file of a layer below', () => {
  test('share a copy with everything that the file had', async () => {
    using box = sandbox();
    const meta = { mode: 0o4755, uid: 5, gid: 6, mtime: 123, pax: { 'SCHILY.xattr.user.k': 'v' } };
    const lower = await box.under(rawTar([dir('d', { uid: 9 }), { name: 'd/f', data: 'content', ...meta }]));
    const outside = box.outside();
    await box.unpack(rawTar([hard('g', 'd/f'), hard('h', '/d/f')]));
    const [f, g, h] = ['d/f', 'g', 'h'].map((path) => lstatSync(box.path(path)));
    assert.deepEqual([f?.ino, f?.nlink, g?.ino], [g?.ino, 3, h?.ino]);
    assert.deepEqual([g?.mode, g?.uid, g?.gid, g?.mtimeMs], [0o104755, 5, 6, 123_000]);
    assert.equal(readFileSync(box.path('g'), 'utf8'), 'content');
    assert.equal(xattr(box.path('g'), 'user.k'), 'v');
    assert.equal(lstatSync(box.path('d')).uid, 9);
    assert.equal(lstatSync(`${lower}/d/f`).nlink, 1);
    assert.equal(box.outside(), outside);
  });

  test('keep capabilities of files', async () => {
    using box = sandbox();
    const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
    await box.under(
      rawTar([{ name: 'ping', mode: 0o755, pax: { 'SCHILY.xattr.security.capability': capability } }]),
    );
    await box.unpack(rawTar([hard('pong', 'ping')]));
    assert.match(execFileSync('getcap', [box.path('pong')], { encoding: 'utf8' }), /cap_net_bind_service/);
  });

  test('copy symlinks, devices and fifos as what they are', async () => {
    using box = sandbox();
    await box.under(
      rawTar([
        link('s', '/nowhere'),
        { name: 'c', type: '3', major: 1, minor: 3, mode: 0o666 },
        { name: 'p', type: '6' },
      ]),
    );
    await box.unpack(rawTar([hard('s2', 's'), hard('c2', 'c'), hard('p2', 'p')]));
    assert.equal(readlinkSync(box.path('s2')), '/nowhere');
    assert.deepEqual([lstatSync(box.path('c2')).rdev, lstatSync(box.path('c2')).mode], [0x103, 0o20666]);
    assert.ok(lstatSync(box.path('p2')).isFIFO());
  });

  test('leave holes as holes, and are bounded by what may be unpacked', async () => {
    using box = sandbox();
    const sparse = {
      name: 'big',
      data: 'x'.repeat(512),
      pax: {
        'GNU.sparse.major': '0',
        'GNU.sparse.minor': '1',
        'GNU.sparse.map': '1073741824,512',
        'GNU.sparse.size': '2147483648',
      },
    };
    await box.under(rawTar([sparse]));
    await box.unpack(rawTar([hard('copy', 'big')]));
    const { size, blocks } = lstatSync(box.path('copy'));
    assert.equal(size, 2 ** 31);
    assert.ok(blocks < 1000, String(blocks));
    using small = sandbox();
    await small.under(rawTar([file('f', 'x'.repeat(100_000))]));
    await assert.rejects(
      small.unpack(rawTar([hard('g', 'f')]), { limits: { unpackedBytes: 10_000 } }),
      /entry g: what it links to is larger than what may be unpacked/,
    );
  });

  test('follow symlinks on the way, not at the end', async () => {
    using box = sandbox();
    await box.under(rawTar([file('usr/lib/f'), link('lib', 'usr/lib'), link('usr/lib/g', 'f')]));
    await box.unpack(rawTar([hard('h', 'lib/f'), hard('i', 'lib/g')]));
    assert.equal(lstatSync(box.path('usr/lib/f')).ino, lstatSync(box.path('h')).ino);
    assert.equal(readlinkSync(box.path('i')), 'f');
  });

  test('are refused where the layers below hide it, or have a directory', async () => {
    using box = sandbox();
    await box.under(rawTar([file('f'), dir('d')]));
    await box.under(rawTar([file('.wh.f', '')]));
    await assert.rejects(box.unpack(rawTar([hard('g', 'f')])), /nor in a layer below/);
    await assert.rejects(box.unpack(rawTar([hard('g', 'd')])), /hard link to a directory/);
  });

  test('see what the same layer made of it', async () => {
    using box = sandbox();
    await box.under(rawTar([file('f', 'old')]));
    await box.unpack(rawTar([file('f', 'new'), hard('g', 'f')]));
    assert.equal(readFileSync(box.path('g'), 'utf8'), 'new');
    using other = sandbox();
    await other.under(rawTar([file('f', 'old')]));
    await assert.rejects(other.unpack(rawTar([file('.wh.f', ''), hard('h', 'f')])), /nor in a layer below/);
  });
});

test('an opaque root hides everything below, name by name', async () => {
  using box = sandbox();
  await box.under(rawTar([dir('a', { uid: 5 }), file('a/old'), file('f'), file('gone/x'), link('l', 'a')]));
  await box.under(rawTar([file('.wh.gone', ''), file('g'), dir('empty')]));
  await box.unpack(rawTar([file('.wh..wh..opq', ''), file('a/x'), file('g', 'new')]));
  assert.equal(lstatSync(box.path('a')).uid, 0);
  assert.deepEqual(readdirSync(box.path('a')), ['x']);
  assert.deepEqual(
    merged(box).map(({ path }) => path),
    ['.', 'a', 'a/x', 'g'],
  );
  assert.equal(readFileSync(box.path('g'), 'utf8'), 'new');
  using other = sandbox();
  await other.under(rawTar([file('f')]));
  await assert.rejects(
    other.unpack(rawTar([file('.wh..wh..opq', ''), hard('h', 'f')])),
    /not in the archive before it/,
  );
});

/**
 * Archives that try to get out of the layer: those that mean something inside it unpack there, the others are
 * refused naming the entry, and nothing outside is ever touched.
 */
import assert from 'node:assert/strict';
import { lstatSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { type RawEntry, rawTar } from '../../fixtures/raw-tar.ts';
import { sandbox } from './unpack-here.ts';

describe('unpacking keeps inside', () => {
  /** `CANARY` stands for the absolute path of the directory that may not be touched. */
  const cases: [name: string, entries: RawEntry[], path: string][] = [
    ['absolute names', [{ name: '/tmp/mydocker-escaped', data: 'x' }], 'tmp/mydocker-escaped'],
    ['names with dots in the middle', [{ name: 'a/../b/./../c', data: 'x' }], 'c'],
    ['names with many slashes', [{ name: '//a///b', data: 'x' }], 'a/b'],
    [
      'an absolute symlink as parent',
      [{ name: 'etc/' }, { name: 'l', type: '2', link: '/etc' }, { name: 'l/f', data: 'x' }],
      'etc/f',
    ],
    [
      'a symlink that goes up and out',
      [{ name: 'etc/' }, { name: 'd/l', type: '2', link: '../../../../etc' }, { name: 'd/l/f', data: 'x' }],
      'etc/f',
    ],
    [
      'symlinks in a row',
      [
        { name: 'etc/' },
        { name: 'a', type: '2', link: '/b' },
        { name: 'b', type: '2', link: '../etc' },
        { name: 'a/f', data: 'x' },
      ],
      'etc/f',
    ],
    [
      'a symlink to the root',
      [
        { name: 'l', type: '2', link: '/' },
        { name: 'l/f', data: 'x' },
      ],
      'f',
    ],
    [
      'a missing directory behind a symlink',
      [{ name: 'etc/' }, { name: 'l', type: '2', link: '/etc' }, { name: 'l/a/b/f', data: 'x' }],
      'etc/a/b/f',
    ],
    ['a chain of forty symlinks', [{ name: 'd/' }, ...chain(39, 'd'), { name: 'l39/f', data: 'x' }], 'd/f'],
    [
      'a hard link with an absolute target',
      [
        { name: 'f', data: 'x' },
        { name: 'g', type: '1', link: '/f' },
      ],
      'g',
    ],
    [
      'a hard link through a symlink',
      [
        { name: 'd/f', data: 'x' },
        { name: 'l', type: '2', link: '/d' },
        { name: 'g', type: '1', link: 'l/f' },
      ],
      'g',
    ],
    [
      'a symlink to outside as parent: the same path inside',
      [
        { name: 'l', type: '2', link: 'CANARY' },
        { name: 'l/f', data: 'x' },
      ],
      'CANARY/f',
    ],
    [
      'a dangling symlink as parent',
      [
        { name: 'd/l', type: '2', link: '../no/where' },
        { name: 'd/l/f', data: 'x' },
      ],
      'no/where/f',
    ],
    [
      'a file over a symlink to the canary',
      [
        { name: 'l', type: '2', link: 'CANARY/f' },
        { name: 'l', data: 'x' },
      ],
      'l',
    ],
    [
      'a file over a hard link to a symlink',
      [
        { name: 's', type: '2', link: 'CANARY/f' },
        { name: 'h', type: '1', link: 's' },
        { name: 'h', data: 'x' },
      ],
      'h',
    ],
  ];
  for (const [name, entries, path] of cases) {
    test(name, async () => {
      using box = sandbox();
      const outside = box.outside();
      await box.unpack(rawTar(entries.map((entry) => aimed(entry, box.canary))));
      assert.equal(readFileSync(box.path(path.replace('CANARY', box.canary)), 'utf8'), 'x');
      assert.equal(box.outside(), outside);
    });
  }

  test('the mode and owner of a directory over a symlink to the canary', async () => {
    using box = sandbox();
    const outside = box.outside();
    const link = { name: 'x', type: '2', link: box.canary };
    await box.unpack(rawTar([link, { name: 'x/', mode: 0o777, uid: 5 }]));
    await box.unpack(
      rawTar([link, { name: 'h', type: '1', link: 'x', mode: 0o777 }, { name: 'h', type: '2', link: 'y' }]),
    );
    assert.equal(box.outside(), outside);
    assert.ok(lstatSync(box.path('x')).isSymbolicLink());
  });

  test('whiteouts behind a symlink', async () => {
    using box = sandbox();
    const outside = box.outside();
    const entries = [
      { name: 'l', type: '2', link: '/d' },
      { name: 'd/' },
      { name: 'l/.wh.f' },
      { name: 'l/.wh..wh..opq' },
    ];
    await box.unpack(rawTar(entries), { base: false });
    assert.ok(lstatSync(box.path('d/f')).isCharacterDevice());
    assert.equal(box.outside(), outside);
  });
});

describe('unpacking refuses', () => {
  const cases: [name: string, entries: RawEntry[], says: RegExp][] = [
    ['a name that leads out', [{ name: '../x' }], /entry \.\.\/x: its name leads out of the root/],
    ['a name that leads out later', [{ name: 'a/../../x' }], /leads out of the root/],
    ['two dots', [{ name: '..', type: '5' }], /leads out of the root/],
    ['an empty name', [{ name: '' }], /its name is empty/],
    ['a root that is a symlink', [{ name: '.', type: '2', link: 'CANARY' }], /the root cannot be a symlink/],
    ['a root that is a file', [{ name: '/.' }], /the root cannot be a file/],
    [
      'a parent that is a file',
      [{ name: 'a' }, { name: 'a/b/c' }],
      /entry a\/b\/c: a above it is no directory/,
    ],
    [
      'a parent that is a device',
      [{ name: 'a', type: '3', major: 1, minor: 3 }, { name: 'a/b' }],
      /no directory/,
    ],
    [
      'symlinks in a circle',
      [{ name: 'a', type: '2', link: 'b' }, { name: 'b', type: '2', link: 'a' }, { name: 'a/f' }],
      /go round in a circle/,
    ],
    [
      'a chain of a hundred symlinks',
      [{ name: 'd/' }, ...chain(100, 'd'), { name: 'l100/f' }],
      /go round in a circle/,
    ],
    ['a hard link to outside', [{ name: 'h', type: '1', link: 'CANARY/f' }], /not in the archive before it/],
    [
      'a hard link that goes up and out',
      [{ name: 'h', type: '1', link: '../../etc/passwd' }],
      /link target leads out/,
    ],
    [
      'a hard link to what comes later',
      [{ name: 'h', type: '1', link: 'f' }, { name: 'f' }],
      /not in the archive before it/,
    ],
    [
      'a hard link to a directory',
      [{ name: 'd/' }, { name: 'h', type: '1', link: 'd' }],
      /hard link to a directory/,
    ],
    ['a hard link to the root', [{ name: 'h', type: '1', link: '/' }], /hard link to the root/],
    ['a hard link to nothing', [{ name: 'h', type: '1' }], /link target is empty/],
    ['a hard link to itself', [{ name: 'h', type: '1', link: 'h' }], /not in the archive before it/],
    ['a symlink to nothing', [{ name: 's', type: '2' }], /link target is empty/],
    ['a part of 256 bytes', [{ name: 'x', pax: { path: 'n'.repeat(256) } }], /longer than 255 bytes/],
    [
      'a name of 4096 bytes',
      [
        { name: 'x', pax: { path: 'd/'.repeat(2048) } },
        { name: 'x', pax: { path: `${'d/'.repeat(2048)}f` } },
      ],
      /longer than 4095 bytes/,
    ],
    [
      'a link target of 4096 bytes',
      [{ name: 'x', type: '2', pax: { linkpath: 't'.repeat(4096) } }],
      /longer than 4095 bytes/,
    ],
    ['a whiteout of nothing', [{ name: 'd/.wh.' }], /whiteout of nothing/],
    ['a whiteout of the directory', [{ name: '.wh..' }], /whiteout of nothing/],
    ['a whiteout of the one above', [{ name: '.wh...' }], /whiteout of nothing/],
    ['a file below a whiteout', [{ name: '.wh.../x' }], /below a whiteout/],
    ['a whiteout with content', [{ name: '.wh.a', data: 'x' }], /whiteout with content/],
  ];
  for (const [name, entries, says] of cases) {
    test(name, async () => {
      using box = sandbox();
      const outside = box.outside();
      await assert.rejects(
        box.unpack(rawTar(entries.map((entry) => aimed(entry, box.canary))), { base: false }),
        (error: Error) => {
          assert.match(error.message, says);
          return true;
        },
      );
      assert.equal(box.outside(), outside);
    });
  }

  test('a hard link to a whiteout of the same layer', async () => {
    using box = sandbox();
    await assert.rejects(
      box.unpack(rawTar([{ name: '.wh.a' }, { name: 'b', type: '1', link: 'a' }]), { base: false }),
      /not in the archive before it/,
    );
  });
});

/** l1 → target, l2 → l1 … */
function chain(length: number, target: string): RawEntry[] {
  return Array.from({ length }, (_, i) => ({
    name: `l${i + 1}`,
    type: '2',
    link: i === 0 ? target : `l${i}`,
  }));
}

function aimed(entry: RawEntry, canary: string): RawEntry {
  const link = entry.link;
  return typeof link === 'string' ? { ...entry, link: link.replace('CANARY', canary) } : entry;
}

/** Archives that are large or odd in themselves: what they ask for is done, bounded, or refused by name. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { createGzip, gzipSync, zstdCompressSync } from 'node:zlib';
import { createLayerStore, type LayerStore } from '../../../server/image/layer-store.ts';
import { SILENT } from '../../../server/model/logger.ts';
import { END, metaHeader, type RawEntry, rawEntry, rawTar } from '../../fixtures/raw-tar.ts';
import { type SpawnLauncher, spawnLauncher } from '../../fixtures/spawn-worker.ts';
import { sandbox, xattr } from './unpack-here.ts';

let root = '';
let serial = 0n;
let launcher: SpawnLauncher;
let layers: LayerStore;
before(async () => {
  root = mkdtempSync(join(tmpdir(), 'mydocker-hostile-'));
  launcher = spawnLauncher();
  layers = createLayerStore(root, launcher.launch, SILENT);
  await layers.prepare();
});
afterEach(() => layers.idle());
after(() => rmSync(root, { recursive: true, force: true }));

/** Unpacks in a worker and watches it. @returns its folder, and the most memory that it had, in MiB. */
async function unpack(archive: AsyncIterable<Uint8Array>): Promise<{ folder: string; peakMib: number }> {
  serial += 1n;
  const folder = join(root, 'layers', `.tmp-${serial}`);
  let peakMib = 0;
  const watch = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${launcher.children.at(-1)?.pid}/status`, 'utf8');
      peakMib = Math.max(peakMib, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
    } catch {
      // It has ended.
    }
  }, 20);
  try {
    await layers.unpack(serial, archive, { below: [] });
    return { folder, peakMib };
  } finally {
    clearInterval(watch);
  }
}

async function* gzipped(parts: Iterable<Buffer>): AsyncGenerator<Uint8Array> {
  const gzip = createGzip({ level: 1 });
  const fed = (async () => {
    for (const part of parts)
      if (!gzip.write(part)) await new Promise((resolve) => gzip.once('drain', resolve));
    gzip.end();
  })();
  yield* gzip;
  await fed;
}

/** Entries made one by one, then the end. */
function* many(count: number, entry: (i: number) => RawEntry): Generator<Buffer> {
  const batch: Buffer[] = [];
  for (let i = 0; i < count; i += 1) {
    batch.push(rawEntry(entry(i)));
    if (batch.length === 1000) yield Buffer.concat(batch.splice(0));
  }
  yield Buffer.concat([...batch, END]);
}

describe('large archives', () => {
  test('a million entries, in bounded memory', { timeout: 600_000 }, async () => {
    const block = Buffer.concat(Array.from({ length: 1000 }, () => rawEntry({ name: 'd/' })));
    function* parts(): Generator<Buffer> {
      for (let i = 0; i < 1000; i += 1) yield block;
      yield END;
    }
    const { folder, peakMib } = await unpack(gzipped(parts()));
    assert.deepEqual(readdirSync(folder), ['d']);
    assert.ok(peakMib < 400, `${peakMib} MiB`);
  });

  test('sixty-five thousand symlinks in one directory', async () => {
    const { folder, peakMib } = await unpack(
      gzipped(many(65_000, (i) => ({ name: `d/${i}`, type: '2', link: '/' }))),
    );
    assert.equal(readdirSync(join(folder, 'd')).length, 65_000);
    assert.ok(peakMib < 400, `${peakMib} MiB`);
  });

  test('thirty thousand directories, in bounded memory', async () => {
    const { folder, peakMib } = await unpack(gzipped(many(30_000, (i) => ({ name: `d${i}/`, mode: 0o711 }))));
    assert.equal(lstatSync(join(folder, 'd29999')).mode, 0o40711);
    assert.ok(peakMib < 400, `${peakMib} MiB`);
  });

  test('more names for a file than the file system allows are refused', async () => {
    const entries = many(1_000_000, (i) =>
      i === 0 ? { name: 'f' } : { name: `d/${i}`, type: '1', link: 'f' },
    );
    await assert.rejects(unpack(gzipped(entries)), /entry d\/\d+: the file has as many links as/);
  });

  test('a gigabyte of zeros in a megabyte, in bounded memory', async () => {
    const zeros = Buffer.alloc(1 << 20);
    function* parts(): Generator<Buffer> {
      yield rawTar([{ name: 'z', size: 2 ** 30 }], Buffer.alloc(0));
      for (let i = 0; i < 1024; i += 1) yield zeros;
      yield END;
    }
    const { folder, peakMib } = await unpack(gzipped(parts()));
    assert.equal(lstatSync(join(folder, 'z')).size, 2 ** 30);
    assert.ok(peakMib < 300, `${peakMib} MiB`);
  });
});

describe('odd compression is refused', () => {
  const tar = rawTar([{ name: 'f', data: 'x'.repeat(5000) }]);
  const zstd = zstdCompressSync(tar);
  /** A header that asks for a window of two gibibytes. */
  const window = Buffer.concat([Buffer.from('28b52ffd00a8', 'hex'), zstd.subarray(6)]);
  const dictionary = Buffer.concat([Buffer.from('28b52ffd01', 'hex'), zstd.subarray(5)]);
  const named = gzipSync(tar);
  const cases: [name: string, archive: Buffer, says: RegExp][] = [
    ['a zstd window of two gibibytes', window, /compressed data is damaged|too much memory|in the middle/],
    ['a zstd dictionary', dictionary, /needs a dictionary/],
    ['gzip in gzip', gzipSync(gzipSync(tar)), /it is not a tar archive|in the middle/],
    ['garbage behind gzip', Buffer.concat([named, Buffer.from('garbage')]), /compressed data is damaged/],
    ['bzip2', Buffer.from('BZh91AY&SY'), /compressed with bzip2/],
  ];
  for (const [name, archive, says] of cases) {
    test(name, async () => {
      async function* once(): AsyncGenerator<Uint8Array> {
        yield archive;
      }
      await assert.rejects(unpack(once()), says);
    });
  }

  test('a gzip header with a name of a megabyte', async () => {
    const plain = gzipSync(tar);
    const header = Buffer.from(plain.subarray(0, 10));
    header[3] = 0x08;
    async function* parts(): AsyncGenerator<Uint8Array> {
      yield header;
      for (let i = 0; i < 16; i += 1) yield Buffer.alloc(65_536, 'n');
      yield Buffer.concat([Buffer.from([0]), plain.subarray(10)]);
    }
    const { folder } = await unpack(parts());
    assert.equal(lstatSync(join(folder, 'f')).size, 5000);
  });
});

describe('odd entries', () => {
  test('names that differ in case, Unicode form or odd bytes are different names', async () => {
    using box = sandbox();
    const names = [
      'A',
      'a',
      'caf\u00e9',
      'cafe\u0301',
      'C:',
      'a\\b',
      'new\nline',
      'tab\t',
      '\x1b[31m',
      '-rf',
      '~',
    ];
    await box.unpack(rawTar(names.map((name) => ({ name, data: name }))));
    for (const name of names) assert.equal(readFileSync(box.path(name), 'utf8'), name);
    assert.equal(readdirSync(box.root).length, names.length);
  });

  test('an error shows no bytes that a terminal would obey', async () => {
    using box = sandbox();
    await assert.rejects(box.unpack(rawTar([{ name: '../\x1b[2Jx' }])), (error: Error) => {
      assert.equal(error.message.includes('\x1b'), false);
      return true;
    });
  });

  test('a mode is cut to its twelve bits, and setuid comes after the owner', async () => {
    using box = sandbox();
    await box.unpack(rawTar([{ name: 'f', uid: 7, patch: { 100: Buffer.from('7777777\0') } }]));
    assert.deepEqual([lstatSync(box.path('f')).mode, lstatSync(box.path('f')).uid], [0o107777, 7]);
  });

  test('owners of 2^31', async () => {
    using box = sandbox();
    await box.unpack(rawTar([{ name: 'f', uid: 2 ** 31, gid: 2 ** 31 + 1 }]));
    assert.deepEqual([lstatSync(box.path('f')).uid, lstatSync(box.path('f')).gid], [2 ** 31, 2 ** 31 + 1]);
  });

  test('many attributes are kept or refused by name, labels of the host dropped', async () => {
    using box = sandbox();
    const few = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`SCHILY.xattr.user.${i}`, `${i}`]));
    await box.unpack(rawTar([{ name: 'f', pax: { ...few, 'SCHILY.xattr.security.selinux': 'x' } }]));
    assert.deepEqual(
      [xattr(box.path('f'), 'user.19'), xattr(box.path('f'), 'security.selinux')],
      ['19', undefined],
    );
    const large = { 'SCHILY.xattr.user.large': Buffer.alloc(65_537, 'v') };
    await assert.rejects(box.unpack(rawTar([{ name: 'g', pax: large }])), /entry g: /);
    await assert.rejects(
      box.unpack(rawTar([{ name: 'h', pax: { 'SCHILY.xattr.user.a\0b': 'v' } }])),
      /a key with a NUL/,
    );
  });

  test('a GNU long name that nothing follows, and one without its NUL', async () => {
    using box = sandbox();
    await assert.rejects(
      box.unpack(rawTar([metaHeader('L', Buffer.from('long\0'))])),
      /ends with a header for no entry/,
    );
    await box.unpack(rawTar([metaHeader('L', Buffer.from('no-nul')), { name: 'x', data: 'd' }]));
    assert.equal(readFileSync(box.path('no-nul'), 'utf8'), 'd');
  });

  test('what an entry’s size hides is no entry', async () => {
    using box = sandbox();
    const hidden = rawEntry({ name: 'etc/evil', data: 'evil' });
    await box.unpack(rawTar([{ name: 'f', size: 0, data: hidden, pax: { size: String(hidden.length) } }]));
    assert.deepEqual(readdirSync(box.root), ['f']);
    assert.equal(
      createHash('sha256')
        .update(readFileSync(box.path('f')))
        .digest('hex'),
      createHash('sha256').update(hidden).digest('hex'),
    );
  });
});

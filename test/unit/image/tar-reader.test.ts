/** What the reader makes of archives: each dialect, each precedence, and what it refuses. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ARCHIVE_LIMITS } from '../../../server/image/archive-limits.ts';
import { readTar } from '../../../server/image/tar-reader.ts';
import {
  END,
  metaHeader,
  padded,
  paxRecord,
  type RawEntry,
  rawHeader,
  rawTar,
} from '../../fixtures/raw-tar.ts';
import { type Read, read } from './read-tar.ts';
import { sourceOf } from './unpack-here.ts';

async function one(...entries: (RawEntry | Buffer)[]): Promise<Read> {
  const all = await read(rawTar(entries));
  assert.equal(all.length, 1);
  return all[0] as Read;
}

describe('a reader understands', () => {
  test('a plain file', async () => {
    const entry = await one({ name: 'etc/motd', data: 'hello', mode: 0o4755, uid: 7, gid: 8, mtime: 99 });
    assert.equal(entry.name.toString(), 'etc/motd');
    assert.equal(entry.data, 'hello');
    assert.deepEqual(
      [entry.kind, entry.mode, entry.uid, entry.gid, entry.mtimeNs],
      ['file', 0o4755, 7, 8, 99_000_000_000n],
    );
  });

  test('a name in two parts', async () => {
    const entry = await one({ name: 'file', patch: { 345: Buffer.from('a/long/prefix') } });
    assert.equal(entry.name.toString(), 'a/long/prefix/file');
  });

  test('GNU long names and targets', async () => {
    const name = `${'n'.repeat(300)}`;
    const target = 't'.repeat(4000);
    const entry = await one(
      metaHeader('L', Buffer.from(`${name}\0`)),
      metaHeader('K', Buffer.from(`${target}\0`)),
      { name: 'short', type: '2', link: 'short', magic: 'ustar  \0' },
    );
    assert.equal(entry.name.toString(), name);
    assert.equal(entry.linkName.toString(), target);
  });

  test('numbers in base 256', async () => {
    const entry = await one({ name: 'f', uid: 3_000_000, gid: 4_294_967_294, mtime: -2 });
    assert.deepEqual([entry.uid, entry.gid, entry.mtimeNs], [3_000_000, 4_294_967_294, -2_000_000_000n]);
  });

  test('PAX records, the last of a key winning', async () => {
    const body = Buffer.concat([
      paxRecord('path', 'no'),
      paxRecord('path', Buffer.from([0x66, 0xff, 0x0a])),
      paxRecord('uid', '70000'),
      paxRecord('mtime', '12.3456789019'),
      paxRecord('SCHILY.xattr.user.a', Buffer.from([0, 1, 10, 0])),
      paxRecord('comment', ''),
    ]);
    const entry = await one({ name: 'ustar', paxBody: body });
    assert.deepEqual(entry.name, Buffer.from([0x66, 0xff, 0x0a]));
    assert.deepEqual([entry.uid, entry.mtimeNs], [70_000, 12_345_678_901n]);
    assert.deepEqual(entry.xattrs.get('user.a'), Buffer.from([0, 1, 10, 0]));
  });

  test('times before 1970 with a fraction', async () => {
    assert.equal((await one({ name: 'f', pax: { mtime: '-1.5' } })).mtimeNs, -1_500_000_000n);
  });

  test('the PAX size, whatever the header says', async () => {
    const inner = rawTar([{ name: 'etc/evil', data: 'evil' }]);
    const entries = await read(
      rawTar([
        Buffer.concat([
          metaHeader('x', paxRecord('size', String(inner.length))),
          rawHeader({ name: 'outer', size: 0 }),
          inner,
        ]),
        { name: 'after', data: 'x' },
      ]),
    );
    assert.deepEqual(
      entries.map((entry) => entry.name.toString()),
      ['outer', 'after'],
    );
    assert.equal(entries[0]?.data, inner.toString('latin1'));
  });

  test('global headers for owner and time, overruled by an entry of its own', async () => {
    const entries = await read(
      rawTar([
        metaHeader('g', Buffer.concat([paxRecord('uid', '5'), paxRecord('comment', 'c')])),
        { name: 'a', uid: 1 },
        { name: 'b', uid: 1, pax: { uid: '6' } },
      ]),
    );
    assert.deepEqual(
      entries.map((entry) => entry.uid),
      [5, 6],
    );
  });

  test('directories by their slash, as before POSIX', async () => {
    assert.equal((await one({ name: 'd/', type: '\0', magic: '\0\0\0\0\0\0\0\0' })).kind, 'directory');
  });

  test('a hard link that claims a size: no data follows', async () => {
    const entries = await read(
      rawTar([rawHeader({ name: 'l', type: '1', link: 'f', size: 1000 }), { name: 'next' }]),
    );
    assert.deepEqual(
      entries.map((entry) => entry.kind),
      ['hardlink', 'file'],
    );
  });

  test('an archive without entries, and one with a single block of zeros', async () => {
    assert.deepEqual(await read(END), []);
    assert.equal((await read(rawTar([{ name: 'f' }], Buffer.alloc(512)))).length, 1);
  });

  test('only the first of two archives, and no garbage behind it', async () => {
    const tar = Buffer.concat([rawTar([{ name: 'a' }]), rawTar([{ name: 'b' }]), Buffer.from('garbage')]);
    assert.deepEqual(
      (await read(tar)).map((entry) => entry.name.toString()),
      ['a'],
    );
  });

  test('what is left unread of an entry', async () => {
    const tar = rawTar([{ name: 'a', data: Buffer.alloc(5000, 1) }, { name: 'b' }]);
    const names: string[] = [];
    for await (const entry of readTar(sourceOf(tar), ARCHIVE_LIMITS)) names.push(entry.name.toString());
    assert.deepEqual(names, ['a', 'b']);
  });
});

describe('a reader understands sparse files', () => {
  const regions = [
    { offset: 2, length: 3 },
    { offset: 10, length: 2 },
  ];
  const oct = (value: number): Buffer => Buffer.from(`${value.toString(8).padStart(11, '0')}\0`);

  test('of old GNU tar, with an extension block', async () => {
    const map = Array.from({ length: 6 }, (_, i) => [oct(i * 10), oct(1)]).flat();
    const extension = Buffer.alloc(512);
    Buffer.concat(map.slice(8)).copy(extension);
    const entry = await one(
      Buffer.concat([
        rawHeader({
          name: 's',
          type: 'S',
          magic: 'ustar  \0',
          size: 6,
          patch: { 386: Buffer.concat(map.slice(0, 8)), 482: Buffer.of(1), 483: oct(100) },
        }),
        extension,
        padded(Buffer.from('abcdef')),
      ]),
    );
    assert.equal(entry.data, 'abcdef');
    assert.deepEqual(entry.sparse, {
      sizeBytes: 100,
      regions: [0, 10, 20, 30, 40, 50].map((offset) => ({ offset, length: 1 })),
    });
  });

  test('of PAX 0.0 and 0.1', async () => {
    const pairs = ['2', '3', '10', '2'];
    const v00 = pairs.map((value, i) =>
      paxRecord(i % 2 === 0 ? 'GNU.sparse.offset' : 'GNU.sparse.numbytes', value),
    );
    for (const body of [
      Buffer.concat([paxRecord('GNU.sparse.size', '20'), paxRecord('GNU.sparse.numblocks', '2'), ...v00]),
      Buffer.concat([
        ...[paxRecord('GNU.sparse.major', '0'), paxRecord('GNU.sparse.minor', '1')],
        ...[
          paxRecord('GNU.sparse.size', '20'),
          paxRecord('GNU.sparse.map', '2,3,10,2'),
          paxRecord('GNU.sparse.name', 'real'),
        ],
      ]),
    ]) {
      const entry = await one({ name: 'GNUSparseFile.1/real', paxBody: body, data: 'abcde' });
      assert.deepEqual(entry.sparse, { sizeBytes: 20, regions });
      assert.equal(entry.data, 'abcde');
    }
  });

  test('of PAX 1.0, the map in the data', async () => {
    const pax = {
      'GNU.sparse.major': '1',
      'GNU.sparse.minor': '0',
      'GNU.sparse.realsize': '20',
      'GNU.sparse.name': 'real',
    };
    const entry = await one({
      name: 'x',
      pax,
      data: Buffer.concat([padded(Buffer.from('2\n2\n3\n10\n2\n')), Buffer.from('abcde')]),
    });
    assert.deepEqual(entry.sparse, { sizeBytes: 20, regions });
    assert.deepEqual([entry.name.toString(), entry.data, entry.storedBytes], ['real', 'abcde', 5]);
  });
});

test('an archive without its end is whole for whoever compares a digest, and cut off for others', async () => {
  const whole = rawTar([
    { name: 'a', data: 'x'.repeat(600) },
    { name: 'b', data: 'yy' },
  ]);
  const names = async (tar: Buffer, mayLackEnd: boolean): Promise<string[]> => {
    const found: string[] = [];
    for await (const { name } of readTar(sourceOf(tar), ARCHIVE_LIMITS, { mayLackEnd }))
      found.push(name.toString());
    return found;
  };
  const data = 512 + 1024 + 512 + 2;
  for (const end of [data, data + 510, data + 510 + 512]) {
    assert.deepEqual(await names(whole.subarray(0, end), true), ['a', 'b'], String(end));
    if (end < data + 510 + 512) await assert.rejects(names(whole.subarray(0, end), false), /ends/);
  }
  for (const end of [data - 1, data + 7, 512 + 100, 100])
    await assert.rejects(names(whole.subarray(0, end), true), /ends/, String(end));
});

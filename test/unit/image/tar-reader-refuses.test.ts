/** Archives that are no archives, or that two readers could understand differently: each is refused by name. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ARCHIVE_LIMITS } from '../../../server/image/archive-limits.ts';
import {
  metaHeader,
  padded,
  paxRecord,
  type RawEntry,
  rawEntry,
  rawHeader,
  rawTar,
} from '../../fixtures/raw-tar.ts';
import { read } from './read-tar.ts';

describe('a reader refuses', () => {
  const sparse = (map: string, size = '20', data = 'abcde'): RawEntry => ({
    name: 's',
    data,
    pax: { 'GNU.sparse.major': '0', 'GNU.sparse.minor': '1', 'GNU.sparse.size': size, 'GNU.sparse.map': map },
  });
  const cases: [name: string, tar: Buffer, says: RegExp][] = [
    [
      'a wrong checksum',
      rawTar([{ name: 'a' }, { name: 'b', checksum: '000001\0 ' }]),
      /entry a: what follows it is no entry: its header has a wrong checksum/,
    ],
    ['a blank checksum', rawTar([{ name: 'a' }, { checksum: '        ' }]), /checksum is blank/],
    ['text', Buffer.from('hello '.repeat(200)), /archive: it is not a tar archive/],
    [
      'an archive that is cut off between entries',
      rawTar([{ name: 'a' }], Buffer.alloc(0)),
      /entry a: the archive ends here/,
    ],
    [
      'an archive that is cut off in a file',
      rawTar([{ name: 'a', data: 'x'.repeat(900) }], Buffer.alloc(0)).subarray(0, 1000),
      /entry a: it ends in the middle/,
    ],
    [
      'an archive that is cut off in a header',
      rawTar([{ name: 'a' }]).subarray(0, 700),
      /it ends in the middle/,
    ],
    [
      'a lone block of zeros',
      rawTar([{ name: 'a' }, Buffer.alloc(512), { name: 'b' }]),
      /lone block of zeros/,
    ],
    [
      'a header for no entry',
      rawTar([metaHeader('x', paxRecord('path', 'a'))]),
      /ends with a header for no entry/,
    ],
    [
      'two PAX headers',
      rawTar([metaHeader('x', paxRecord('path', 'a')), { pax: { path: 'b' } }]),
      /two PAX headers/,
    ],
    [
      'two GNU long names',
      rawTar([metaHeader('L', Buffer.from('a\0')), metaHeader('L', Buffer.from('b\0')), {}]),
      /two GNU long names/,
    ],
    [
      'a PAX and a GNU name',
      rawTar([metaHeader('L', Buffer.from('a\0')), { pax: { path: 'b' } }]),
      /both a PAX and a GNU long name/,
    ],
    [
      'a global name',
      rawTar([metaHeader('g', paxRecord('path', 'etc/passwd')), {}]),
      /global PAX header sets path/,
    ],
    ['a global size', rawTar([metaHeader('g', paxRecord('size', '1')), {}]), /global PAX header sets size/],
    [
      'a record that is longer than it says',
      rawTar([{ paxBody: Buffer.from('9 path=abc\n') }]),
      /record of a wrong length/,
    ],
    [
      'a record of a huge length',
      rawTar([{ paxBody: Buffer.from('99999999999 path=a\n') }]),
      /record of a wrong length/,
    ],
    [
      'a record of a negative length',
      rawTar([{ paxBody: Buffer.from('-9 path=a\n') }]),
      /record of a wrong length/,
    ],
    ['a record without an equals sign', rawTar([{ paxBody: Buffer.from('7 path\n') }]), /without a key/],
    ['a NUL in a name', rawTar([{ pax: { path: 'a\0b' } }]), /has a NUL/],
    ['a size that is no number', rawTar([{ pax: { size: '0x10' } }]), /PAX size is not a number/],
    ['a negative size', rawTar([rawHeader({ size: -5 })]), /size is out of range/],
    ['a size of 2^63', rawTar([{ pax: { size: '9223372036854775808' } }]), /size is out of range/],
    [
      'letters in a number',
      rawTar([{ patch: { 108: Buffer.from('wheel\0\0\0') } }]),
      /its uid is not a number/,
    ],
    ['an owner of 2^32', rawTar([{ pax: { uid: '4294967296' } }]), /uid 4294967296 is out of range/],
    ['the owner that means no change', rawTar([{ uid: 4_294_967_295 }]), /out of range/],
    ['a negative owner', rawTar([{ gid: -1 }]), /gid -1 is out of range/],
    ['a time that is no number', rawTar([{ pax: { mtime: '1e300' } }]), /mtime is not a time/],
    ['NaN as time', rawTar([{ pax: { mtime: 'NaN' } }]), /mtime is not a time/],
    ['an unknown type', rawTar([{ type: 'Z' }]), /its type "Z" is not supported/],
    ['a part of several volumes', rawTar([{ type: 'M' }]), /not supported/],
    [
      'a directory with a size',
      rawTar([{ name: 'd/', size: 512, data: Buffer.alloc(512) }]),
      /has a size though it is no file/,
    ],
    ['an attribute without a name', rawTar([{ pax: { 'SCHILY.xattr.': 'x' } }]), /attribute without a name/],
    ['overlapping regions', rawTar([sparse('0,3,2,2')]), /overlap/],
    ['regions behind the file', rawTar([sparse('0,3,19,2')]), /ends after the file/],
    ['regions without data', rawTar([sparse('0,3')]), /do not add up/],
    ['a map that is cut off', rawTar([sparse('0,3,5')]), /map is broken/],
    [
      'a sparse file of eight exbibytes',
      rawTar([sparse('0,5', '9007199254740991')]),
      /larger than \d+ bytes/,
    ],
    ['a sparse type in another dialect', rawTar([{ type: 'S' }]), /sparse in two ways or in none/],
    [
      'a map of a hundred million regions',
      rawTar([
        {
          pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '9' },
          data: padded(Buffer.from('100000000\n')),
        },
      ]),
      /too many regions/,
    ],
  ];
  for (const [name, tar, says] of cases) {
    test(name, async () => {
      await assert.rejects(read(tar), (error: Error) => {
        assert.match(error.message, says);
        return true;
      });
    });
  }

  test('headers over the limit, before they are read', async () => {
    const header = rawHeader({ name: 'meta', type: 'L', size: 2 ** 31 });
    await assert.rejects(read(Buffer.concat([header, Buffer.alloc(4096)])), {
      code: 'resource-exhausted',
      reason: 'ARCHIVE_LIMIT',
    });
  });

  test('more entries than the limit', async () => {
    const tar = rawTar([rawEntry({ name: 'a' }), rawEntry({ name: 'b' }), rawEntry({ name: 'c' })]);
    await assert.rejects(read(tar, { ...ARCHIVE_LIMITS, entries: 2 }), {
      code: 'resource-exhausted',
      metadata: { why: 'there are more than 2 entries', entry: 'c' },
    });
  });

  test('more bytes than the limit, the padding behind the end included', async () => {
    const tar = rawTar([{ name: 'a' }], Buffer.alloc(100_000));
    await assert.rejects(read(tar, { ...ARCHIVE_LIMITS, unpackedBytes: 50_000 }), {
      reason: 'ARCHIVE_LIMIT',
    });
  });
});

/** Archives damaged at random, the same way each time: each unpacks or is refused by name, and nothing leaks out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { ByteSource } from '../../../server/image/byte-source.ts';
import { decompress } from '../../../server/image/decompress.ts';
import { MydockerError } from '../../../server/model/error.ts';
import { metaHeader, padded, paxRecord, rawHeader, rawTar } from '../../fixtures/raw-tar.ts';
import { sandbox } from './unpack-here.ts';

/** Numerical Recipes' generator: the same numbers on every machine. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const SEED = rawTar([
  { name: './' },
  { name: 'etc/', uid: 1, gid: 2 },
  { name: 'etc/passwd', data: 'root:x:0:0'.repeat(100), pax: { mtime: '1.5', 'SCHILY.xattr.user.a': 'b' } },
  { name: 'l', type: '2', link: '../../etc' },
  { name: 'l/shadow', data: 'x' },
  { name: 'h', type: '1', link: 'etc/passwd' },
  metaHeader('L', Buffer.from(`${'long/'.repeat(40)}\0`)),
  { name: 'short/', magic: 'ustar  \0' },
  { name: 'd/.wh.gone' },
  { name: 'd/.wh..wh..opq' },
  {
    name: 's',
    data: Buffer.concat([padded(Buffer.from('1\n3\n2\n')), Buffer.from('ab')]),
    pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '9' },
  },
  metaHeader('g', paxRecord('uid', '7')),
  { name: 'null', type: '3', major: 1, minor: 3 },
  { name: 'fifo', type: '6' },
]);

/** Puts the checksums right again, so that damage gets past them. */
function fixChecksums(tar: Buffer): void {
  for (let at = 0; at + 512 <= tar.length; at += 512) {
    const block = tar.subarray(at, at + 512);
    if (block.toString('latin1', 257, 262) !== 'ustar') continue;
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  }
}

function damage(original: Buffer, random: (below: number) => number): Buffer {
  const tar = Buffer.from(original);
  const interesting = [
    '..',
    '/',
    '.wh.',
    '\0',
    'S',
    'x',
    '7777777',
    '\xff\xff\xff\xff',
    '1',
    '2',
    '5',
    'g',
    'L',
  ];
  for (let i = random(4); i >= 0; i -= 1) {
    const at = random(tar.length);
    const text = interesting[random(interesting.length)] ?? '';
    if (random(2) === 0) tar.write(text, at, 'latin1');
    else tar[at] = random(256);
  }
  if (random(4) > 0) fixChecksums(tar);
  return random(5) === 0 ? tar.subarray(0, random(tar.length)) : tar;
}

async function quietly(step: () => Promise<unknown>): Promise<boolean> {
  try {
    await step();
    return true;
  } catch (error) {
    assert.ok(
      error instanceof MydockerError,
      `${String(error)} ${error instanceof Error ? error.stack : ''}`,
    );
    assert.notEqual(error.code, 'internal', error.message);
    return false;
  }
}

test('damaged archives', async () => {
  const random = generator(1);
  let unpacked = 0;
  for (let i = 0; i < 400; i += 1) {
    using box = sandbox();
    const outside = box.outside();
    const tar = damage(SEED, random);
    if (await quietly(() => box.unpack(tar, { base: false }))) unpacked += 1;
    assert.equal(box.outside(), outside, `round ${i}`);
  }
  // Both ends must be met, or the damage is too much or too little to find anything.
  assert.ok(unpacked > 40 && unpacked < 360, `${unpacked} of 400 unpacked`);
});

test('damaged compression', async () => {
  const random = generator(2);
  const tar = Buffer.concat([SEED, rawHeader({}), Buffer.alloc(5000, 7)]);
  for (const compressed of [gzipSync(tar), Buffer.concat([zstdCompressSync(SEED), zstdCompressSync(tar)])]) {
    for (let i = 0; i < 200; i += 1) {
      const data = Buffer.from(compressed);
      data[8 + random(data.length - 8)] = random(256);
      const cut = random(3) === 0 ? data.subarray(0, 8 + random(data.length - 8)) : data;
      await quietly(async () => {
        async function* chunks(): AsyncGenerator<Buffer> {
          for (let at = 0; at < cut.length; at += 100) yield cut.subarray(at, at + 100);
        }
        const source = new ByteSource(chunks(), { maxBytes: 1 << 20 });
        const { bytes } = await decompress(source);
        for await (const _ of bytes);
      });
    }
  }
});

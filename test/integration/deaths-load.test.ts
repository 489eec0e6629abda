/**
 * What comes between a load and its end: the server's death or a fault at each durable step, a client that
 * leaves, a full disk, other clients that load or remove the same. Afterwards the disk holds what the records
 * name, exactly, and the next attempt works.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { FAILPOINTS } from '../../server/failpoint.ts';
import { named, ociArchive, ociEntries, type PackedImage, packImage } from '../fixtures/image-archive.ts';
import { fixtureTar } from '../fixtures/images.ts';
import { rawTar } from '../fixtures/raw-tar.ts';
import { type Host, startHost } from '../harness/host.ts';
import { checkContent } from './content-rules.ts';
import { checkClean, dispose, untilDead } from './deaths-ground.ts';
import { imageContent, until, untilNoImages } from './ground.ts';

const POINTS = FAILPOINTS.filter((name) => name.startsWith('load.'));
const NAME = 'docker.io/library/loaded:1';

let host: Host;
let base: Buffer;
let image: PackedImage;
let file: string;
before(async () => {
  base = readFileSync(await fixtureTar('busybox'));
  host = await startHost({ armable: true });
  image = withMarker('one');
  file = join(host.folder, 'tmp/archive');
  writeFileSync(file, ociArchive(image, NAME));
  host.remember();
});
afterEach(() => checkClean(host));
after(() => dispose(host));

/** Busybox and a layer of its own, compressed. */
function withMarker(data: string): PackedImage {
  const upper = rawTar([
    { name: 'marker', data },
    { name: 'etc/.wh.shadow', data: '' },
  ]);
  return packImage({ layers: [base, upper], compression: 'gzip' });
}

async function works(says = 'one'): Promise<void> {
  assert.equal(await host.ok(['load', '-i', file]), 'Loaded image: loaded:1');
  assert.equal(await host.ok(['run', '--rm', 'loaded:1', 'cat', '/marker']), says);
  await host.ok(['rmi', 'loaded:1']);
}

const content = (): string[] => imageContent(host);
const empty = (): Promise<string[]> => untilNoImages(host);

describe('the server dies', () => {
  for (const point of POINTS)
    test(`at ${point}`, async () => {
      host.arm(`${point}=exit`);
      const asked = host.cli(['load', '-i', file]);
      await untilDead(host);
      assert.equal((await asked).code, 125);
      await host.start();
      const isThere = (await host.ok(['images', '-q'])) !== '';
      assert.equal(isThere, point === 'load.put-image' || point === 'load.done');
      if (!isThere) await empty();
      await checkContent(host);
      await works();
      await empty();
    });

  test('on the way through the second layer', async () => {
    host.arm('load.unpacked=1*off->exit');
    const asked = host.cli(['load', '-i', file]);
    await untilDead(host);
    await asked;
    await host.start();
    await empty();
    await works();
  });
});

test('a fault at each step leaves nothing', async () => {
  host.arm(POINTS.map((point) => `${point}=1*error(told to fail at ${point})`).join(';'));
  for (const point of POINTS) {
    const { code, stderr } = await host.cli(['load', '-i', file]);
    assert.equal(code, 125, stderr);
    assert.match(stderr, new RegExp(`told to fail at ${point}`));
    const isThere = (await host.ok(['images', '-q'])) !== '';
    assert.equal(isThere, point === 'load.put-image' || point === 'load.done', point);
    if (isThere) await host.ok(['rmi', 'loaded:1']);
    await empty();
  }
  await works();
  await checkContent(host);
});

test('a client that leaves takes its load with it', async () => {
  for (const point of ['load.spooled', 'load.unpack', 'load.unpacked', 'load.renamed']) {
    host.arm(`${point}=1*delay(1500)`);
    const client = host.spawn(['load', '-i', file]);
    await until(content, (names) => names.some((name) => name.startsWith('load-')));
    client.kill('SIGKILL');
    await empty();
  }
  // Also while it sends: half an archive is none.
  const client = host.spawn(['load']);
  client.stdin?.write(readFileSync(file).subarray(0, 200_000));
  await until(content, (names) => names.some((name) => name.startsWith('load-')));
  client.kill('SIGKILL');
  await empty();
  await works();
  await checkContent(host);
});

test('several clients that load the same unpack it once', async () => {
  const second = withMarker('two');
  const both = rawTar(
    ociEntries(
      [named(image, NAME), named(second, 'docker.io/library/loaded:2')],
      [...image.blobs, ...second.blobs],
    ),
  );
  const loads = await Promise.all([
    ...[1, 2, 3].map(() => host.ok(['load', '-i', file])),
    host.ok(['load'], { stdin: both }),
  ]);
  assert.deepEqual(loads.slice(0, 3), Array(3).fill('Loaded image: loaded:1'));
  assert.equal(loads[3], 'Loaded image: loaded:1\nLoaded image: loaded:2');
  const layers = readdirSync(join(host.root, 'layers')).filter((name) => /^\d+$/.test(name));
  assert.equal(layers.length, 3);
  assert.equal(await host.ok(['run', '--rm', 'loaded:2', 'cat', '/marker']), 'two');
  await host.ok(['rmi', 'loaded:1', 'loaded:2']);
  await empty();
});

test('loads and removals of the same image at once', async () => {
  for (let round = 0; round < 5; round += 1) {
    const loads = [1, 2].map(() => host.ok(['load', '-i', file]));
    const removals = [1, 2, 3].map(() => host.cli(['rmi', 'loaded:1']));
    await Promise.all([...loads, ...removals]);
    await host.cli(['rmi', 'loaded:1']);
  }
  await empty();
  await works();
  await checkContent(host);
});

for (const [what, data] of [
  ['the archive', () => noise(30 << 20)],
  ['the second layer', () => Buffer.alloc(30 << 20)],
] as const)
  test(`on a small disk ${what} does not fit`, async () => {
    await host.stop();
    const big = packImage({ layers: [base, rawTar([{ name: 'big', data: data() }])], compression: 'gzip' });
    const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'small', host.root]);
    assert.equal(status, 0);
    try {
      await host.start();
      const { code, stderr } = await host.cli(['load'], { stdin: ociArchive(big, NAME) });
      assert.equal(code, 125);
      assert.match(stderr, /cannot load (archive|image loaded:1): .*(no space left on device|larger than)/);
      // Who tries again at once finds the room.
      assert.deepEqual(readdirSync(join(host.root, 'removing')), []);
      await empty();
      await works();
      await empty();
    } finally {
      await host.stop();
      spawnSync('umount', ['--lazy', host.root]);
      await host.start();
    }
  });

/** What no compressor makes smaller, the same each time. */
function noise(size: number): Buffer {
  const out = Buffer.alloc(size);
  let state = 1;
  for (let at = 0; at < size; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    out.writeUInt32LE((state ^ (state >>> 13)) >>> 0, at);
  }
  return out;
}

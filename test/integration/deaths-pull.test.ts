/**
 * What comes between a pull and its end: the server's death or a fault at each step, a client that leaves, a full
 * disk, a registry that dies. Afterwards the disk holds what the records name, and what a next try can use; that one
 * works, and fetches only what is missing.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FAILPOINTS } from '../../server/failpoint.ts';
import { packImage } from '../fixtures/image-archive.ts';
import { rawTar } from '../fixtures/raw-tar.ts';
import { TestRegistry } from '../fixtures/registry.ts';
import { exitCode, SLOWNESS } from '../harness/cli.ts';
import type { Host } from '../harness/host.ts';
import { checkContent } from './content-rules.ts';
import { isServing, untilDead } from './deaths-ground.ts';
import { imageContent, until } from './ground.ts';
import { type PullGround, startPullGround } from './pull-ground.ts';

const ONLY_LOAD = ['load.begin', 'load.spooled', 'load.done'];
const of = (pattern: RegExp): string[] =>
  FAILPOINTS.filter((name) => pattern.test(name) && !ONLY_LOAD.includes(name));
/** In the order in which they are passed. */
const POINTS = [...of(/^pull\.(?!done)/), ...of(/^load\./), 'pull.done'];

let ground: PullGround;
let host: Host;
before(async () => {
  ground = await startPullGround();
  ({ host } = ground);
});
afterEach(async () => {
  if (!isServing(host)) await ground.serve();
  await ground.clean();
});
after(() => ground?.dispose());

const isThere = async (): Promise<boolean> => (await host.ok(['images', '-q'])) !== '';
/** Requests for the bytes of layers. */
const layerRequests = (): string[] =>
  ground.mock.seen
    .filter(({ url }) => ground.image.layers.some((layer) => url.endsWith(ground.digestOf(layer))))
    .map(({ headers }) => headers.range ?? 'all');

async function works(): Promise<void> {
  await ground.pull();
  assert.match(await host.ok(['run', '--rm', ground.name]), /^100000 /);
  await host.ok(['rmi', ground.name]);
}

/** A server that does not take a layer that stalls for one that broke off. */
async function patient(): Promise<void> {
  await host.stop();
  await ground.serve('', { idleMs: 60_000, slowMs: 60_000 });
}

/** Of an image that is not there: nothing but what another try can use. */
const onlyDownloads = (): Promise<string[]> =>
  until(
    () => imageContent(host).filter((name) => !/^[0-9a-f]{64}$/.test(name)),
    (names) => names.join() === 'init-1',
  );

describe('the server dies', () => {
  for (const point of POINTS)
    test(`at ${point}`, async () => {
      await host.stop();
      await ground.serve(`${point}=exit`);
      const asked = host.cli(['pull', '-q', ground.name]);
      await untilDead(host);
      assert.equal((await asked).code, 125);
      await ground.serve();
      assert.equal(await isThere(), point === 'load.put-image' || point === 'pull.done');
      if (!(await isThere())) await onlyDownloads();
      ground.mock.seen.length = 0;
      await works();
      // All layers were there before the last of them was unpacked.
      if (/renamed|put|blobs/.test(point)) assert.deepEqual(layerRequests(), []);
      await checkContent(host);
    });
});

test('a fault at each step leaves nothing but downloads', async () => {
  await host.stop();
  await ground.serve(POINTS.map((point) => `${point}=1*error(told to fail at ${point})`).join(';'));
  for (const point of POINTS) {
    const { code, stderr } = await host.cli(['pull', '-q', ground.name]);
    assert.equal(code, 125, stderr);
    assert.match(stderr, new RegExp(`told to fail at ${point}`));
    assert.equal(await isThere(), point === 'load.put-image' || point === 'pull.done', point);
    await host.cli(['rmi', ground.name]);
    await onlyDownloads();
  }
  await works();
  await host.restart();
});

test('a client that leaves ends its pull; the next one takes it up', async () => {
  await patient();
  const bytes = ground.image.blobs.get(ground.layer) ?? Buffer.alloc(0);
  ground.mock.on(new RegExp(ground.layer), (_, response, count) => {
    if (count > 1) return false;
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(bytes.subarray(0, 60_000));
    return true;
  });
  const client = host.spawn(['pull', ground.name]);
  const file = join(host.root, 'downloads', ground.layer.replace('sha256:', ''));
  await until(
    () => statSync(file, { throwIfNoEntry: false })?.size,
    (size) => size === 60_000,
  );
  const downloads = async (column: string): Promise<string> =>
    (await host.ok(['system', 'df', '--format', `{{.Type}} {{.${column}}}`])).match(/Downloads (.*)/)?.[1] ??
    '';
  assert.notEqual(await downloads('Active'), '0');
  client.kill('SIGKILL');
  await onlyDownloads();
  for (const path of [file, dirname(file)]) assert.equal(statSync(path).mode & 0o077, 0, path);
  // What was left is seen by who looks for room.
  await until(
    () => downloads('Active'),
    (active) => active === '0',
  );
  assert.ok(Number(await downloads('ReclaimableBytes')) >= 60_000);
  ground.mock.seen.length = 0;
  await works();
  assert.deepEqual(layerRequests(), ['bytes=60000-']);
  await ground.prune();
  ground.mock.reset();
  await host.stop();
  await ground.serve('load.put-image=1*error(later)');
  await host.cli(['pull', '-q', ground.name]);
  await host.cli(['rmi', ground.name]);
  assert.match(await host.ok(['system', 'prune', '-f']), /reclaimed space: [^0]/);
  assert.equal(await downloads('TotalCount'), '0');
});

test('of several who wait for the same layer one may leave', async () => {
  await patient();
  const bytes = ground.image.blobs.get(ground.layer) ?? Buffer.alloc(0);
  const { promise: left, resolve: hasLeft } = Promise.withResolvers<void>();
  ground.mock.on(new RegExp(ground.layer), (_, response) => {
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(bytes.subarray(0, 60_000));
    void left.then(() => response.end(bytes.subarray(60_000)));
    return true;
  });
  const asked = (what: string): number => ground.mock.seen.filter(({ url }) => url.includes(what)).length;
  const atLeast =
    (count: number) =>
    (seen: number): boolean =>
      seen >= count;
  const leaving = host.spawn(['pull', ground.name]);
  await until(() => asked(ground.layer), atLeast(1));
  const before = asked('/manifests/');
  const staying = [1, 2, 3].map(() => ground.pull());
  await until(() => asked('/manifests/'), atLeast(before + staying.length));
  // From what they want to the wait for it there is nothing to see.
  await sleep(300 * SLOWNESS);
  leaving.kill('SIGKILL');
  await exitCode(leaving);
  hasLeft();
  await Promise.all(staying);
  assert.equal(layerRequests().length, 2);
});

test('what was damaged on the disk is fetched anew', async () => {
  await host.stop();
  await ground.serve('load.put-image=1*error(later)');
  await host.cli(['pull', '-q', ground.name]);
  await host.cli(['rmi', ground.name]);
  for (const name of readdirSync(join(host.root, 'downloads')))
    spawnSync('dd', [
      'if=/dev/zero',
      `of=${join(host.root, 'downloads', name)}`,
      'count=8',
      'seek=9',
      'conv=notrunc',
    ]);
  await works();
});

test('a registry that dies and comes back is waited for', async () => {
  const registry = new TestRegistry(join(host.folder, 'registry'), { port: 5000 });
  await registry.start();
  try {
    const upper = rawTar([{ name: 'marker', data: Buffer.alloc(32 << 20, 'y') }]);
    const name = await registry.put(packImage({ layers: [upper] }), 'dies:1');
    const file = (): number =>
      readdirSync(join(host.root, 'downloads')).reduce(
        (sum, each) =>
          sum + (statSync(join(host.root, 'downloads', each), { throwIfNoEntry: false })?.size ?? 0),
        0,
      );
    await host.stop();
    // The first pause is long enough for a restart.
    await ground.serve('', { pauseMs: 3000, tries: 10 });
    const pulled = host.ok(['pull', '-q', name]);
    await until(file, (size) => size > 0);
    await registry.stop();
    await registry.start();
    assert.equal(await pulled, name);
  } finally {
    await registry.stop();
  }
});

for (const [what, data] of [
  ['the download', Buffer.alloc(30 << 20, 'x')],
  ['the layer', Buffer.alloc(30 << 20)],
] as const)
  test(`on a small disk ${what} does not fit`, async () => {
    const layers = [...ground.image.layers, rawTar([{ name: 'big', data }])];
    const big = ground.mock.put(
      packImage({ layers, compression: what === 'the layer' ? 'gzip' : 'none' }),
      'big:1',
    );
    await host.stop();
    assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'small', host.root]).status, 0);
    try {
      await ground.serve();
      await ground.fails(/cannot pull image .*big:1: .*(no space left on device|larger than|disk)/, big);
      // Who tries again at once finds the room.
      assert.deepEqual(readdirSync(join(host.root, 'removing')), []);
      await onlyDownloads();
      await works();
      await ground.prune();
    } finally {
      await host.stop();
      spawnSync('umount', ['--lazy', host.root]);
      await ground.serve();
    }
  });

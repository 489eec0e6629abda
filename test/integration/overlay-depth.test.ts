/**
 * An image of 127 layers, the most that Docker makes. `import` makes images of one, so the others are put beside it
 * while the server is stopped: a folder each, with the records that a pull would write, through the server's own store. @vm
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { createBlobStore } from '../../server/image/blob-store.ts';
import { encodeImageConfig } from '../../server/image/image-config.ts';
import type { Digest } from '../../server/model/digest.ts';
import type { ImageLayer, ImageRecord } from '../../server/model/image.ts';
import { openStore } from '../../server/store/open.ts';
import type { Store } from '../../server/store/store.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, inside, refused, until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
  await host.stop();
  await using store = await openStore({ root: host.root });
  await stack(store, 'deep', 127);
  await stack(store, 'too-deep', 250);
  await store.close();
  await host.start();
});
afterEach(() => assertClean(host));
after(() => host.dispose());

const digest = (text: string): Digest =>
  `sha256:${createHash('sha256').update(text).digest('hex')}` as Digest;

/** The image's layers: busybox, then `count - 1` folders that each change the same file and add one. */
async function stack(store: Store, name: string, count: number): Promise<void> {
  const [base] = store.images.list();
  assert.ok(base !== undefined);
  const layers: ImageLayer[] = [...base.layers];
  for (let index = layers.length; index < count; index += 1) {
    const serial = await store.layers.allocateSerial();
    const folder = join(host.root, 'layers', String(serial));
    mkdirSync(join(folder, 'each'), { recursive: true });
    writeFileSync(join(folder, 'each', `layer-${index}`), '');
    writeFileSync(join(folder, 'topmost'), `${index}\n`);
    symlinkSync(`/each/layer-${index}`, join(folder, 'link'));
    if (index === 60) mkdirSync(join(folder, 'etc'));
    if (index === 60) writeFileSync(join(folder, 'etc/passwd'), 'deep:x:60:61::/home:/bin/sh\n');
    const parent = layers.at(-1)?.chainId;
    const diffId = digest(`${name} ${index}`);
    const chainId = digest(`${parent} ${diffId}`);
    const at = { v: 1, rev: 0n, createdAt: 0n, updatedAt: 0n } as const;
    await store.layers.put(
      { ...at, chainId, diffId, serial, sizeBytes: 0n, ...(parent === undefined ? {} : { parent }) },
      { sync: false },
    );
    layers.push({ diffId, chainId, serial });
  }
  const image: ImageRecord = { ...base, rev: 0n, layers, references: [`docker.io/library/${name}:latest`] };
  const id = await createBlobStore(host.root).write(
    encodeImageConfig({ ...image, diffIds: layers.map(({ diffId }) => diffId) }),
  );
  await store.images.put({ ...image, id });
}

test('127 layers: all of them are there, the topmost wins', async () => {
  const script = 'cat /topmost; ls /each | wc -l; readlink /link; ls /bin/busybox; id -un';
  assert.equal(
    await inside(host, script, ['-u', 'deep'], 'deep'),
    '126\n126\n/each/layer-126\n/bin/busybox\ndeep',
  );
});

test('127 layers: writes, removals and renames last over stop and start', async () => {
  await host.ok([
    'run',
    '-d',
    '--name',
    'deep',
    'deep',
    'sh',
    '-c',
    'cat /topmost; ls /each | wc -l; sleep 1000',
  ]);
  await until(
    () => host.ok(['logs', 'deep']),
    (text) => text === '126\n126',
  );
  await host.ok([
    'exec',
    'deep',
    'sh',
    '-c',
    'echo mine >/topmost; rm /each/layer-1 /each/layer-100; mv /each/layer-50 /each/moved',
  ]);
  await host.ok(['restart', '-t', '0', 'deep']);
  await until(
    () => host.ok(['logs', 'deep']),
    (text) => text === '126\n126\nmine\n124',
  );
  assert.equal(await host.ok(['exec', 'deep', 'sh', '-c', 'ls /each | grep -c -e moved -e layer-50']), '1');
  const [{ paths }] = JSON.parse(await host.ok(['inspect', '--format', 'api', 'deep']));
  assert.ok(paths.lowerDirs.length >= 127, String(paths.lowerDirs.length));
  await host.ok(['rm', '-f', 'deep']);
});

test('more layers than the kernel takes are refused with a reason', async () => {
  await refused(
    host,
    ['run', '--rm', 'too-deep', 'true'],
    /cannot start container \S+: .*(layers|descriptors|slots)/,
  );
});

test('an image of 250 layers is removed, and all of it is gone', async () => {
  for (const name of ['too-deep', 'deep']) await host.ok(['rmi', name]);
  await until(
    async () =>
      [...readdirSync(join(host.root, 'layers')), ...readdirSync(join(host.root, 'removing'))].length,
    // busybox and the init layer
    (count) => count === 2,
  );
});

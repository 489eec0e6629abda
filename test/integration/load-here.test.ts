/** `load -i`: a file that the server sees too is read by it; any other one is sent. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { LoadHeader, type LoadImagesResponse } from '../../proto/gen/mydocker/v1/images.ts';
import { ociArchive, packImage } from '../fixtures/image-archive.ts';
import { fixtureTar } from '../fixtures/images.ts';
import { PROJECT } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, untilNoImages } from './ground.ts';

let host: Host;
let archive: Buffer;
let path: string;
before(async () => {
  host = await startHost();
  path = join(host.folder, 'tmp/archive.tar');
  archive = ociArchive(
    packImage({ layers: [readFileSync(await fixtureTar('busybox'))], config: {} }),
    'here:1',
  );
});
beforeEach(() => writeFileSync(path, archive));
afterEach(async () => {
  rmSync(path);
  await assertClean(host);
});
after(() => host.dispose());

/** A load of a file by its name alone. @returns what it told, or how it failed. */
async function loadFile(file: LoadHeader['file']): Promise<(LoadImagesResponse['event'] | string)[]> {
  const call = host.api.images.loadImages();
  call.write({ frame: { $case: 'header', value: LoadHeader.create({ file }) } });
  call.end();
  const told: (LoadImagesResponse['event'] | string)[] = [];
  try {
    for await (const { event } of call) told.push(event);
  } catch (error) {
    told.push(String((error as Error).message));
  }
  return told;
}

test('the server reads the file that is meant, and no other', async () => {
  const { dev, ino } = statSync(path, { bigint: true });
  const told = await loadFile({ path, device: dev, inode: ino });
  assert.equal(told.map((event) => (typeof event === 'object' ? event.$case : event)).at(-1), 'image');
  await host.ok(['rmi', 'here:1']);
  const fifo = join(host.folder, 'tmp/fifo');
  execFileSync('mkfifo', [fifo]);
  const at = statSync(fifo, { bigint: true });
  for (const [file, why] of [
    [{ path, device: dev, inode: ino + 1n }, /the server sees something else there/],
    [{ path: '/dev/null', device: dev, inode: ino }, /the server sees something else there/],
    [{ path: fifo, device: at.dev, inode: at.ino }, /the server sees something else there/],
    [{ path: `${path}.not`, device: dev, inode: ino }, /the server cannot open it: ENOENT/],
    [{ path: 'archive.tar', device: dev, inode: ino }, /the path is not absolute/],
  ] as const) {
    const [failure, ...more] = await loadFile(file);
    assert.match(String(failure), why);
    assert.match(String(failure), /FAILED_PRECONDITION/);
    assert.deepEqual(more, []);
  }
  rmSync(fifo);
  await untilNoImages(host);
});

test('by another name, and from a place that the server does not see', async () => {
  const link = join(host.folder, 'tmp/link');
  symlinkSync(path, link);
  assert.equal(await host.ok(['load', '-i', link]), 'Loaded image: here:1');
  await host.ok(['rmi', 'here:1']);
  rmSync(link);
  // Among mounts of its own the client has another file by the same name.
  const script = `mount -t tmpfs tmpfs "$1" && cp "$2" "$1/archive.tar" && exec "$3" load -i "$1/archive.tar"`;
  const place = join(host.folder, 'tmp/place');
  const loaded = execFileSync(
    'unshare',
    ['--mount', 'sh', '-c', `mkdir -p "$1"; ${script}`, 'sh', place, path, join(PROJECT, 'bin/mydocker')],
    { encoding: 'utf8', env: { ...process.env, MYDOCKER_HOST: host.address } },
  );
  assert.equal(loaded, 'Loaded image: here:1\n');
  await host.ok(['rmi', 'here:1']);
  rmSync(place, { recursive: true });
  await untilNoImages(host);
});

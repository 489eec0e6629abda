/** `load`: images out of archives of every form, and what is wrong with an archive told. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  createWriteStream,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import {
  blobPath,
  dockerArchive,
  named,
  ociArchive,
  ociEntries,
  type PackedDescriptor,
  type PackedImage,
  packImage,
  sha256,
} from '../fixtures/image-archive.ts';
import { fixtureTar } from '../fixtures/images.ts';
import { rawTar } from '../fixtures/raw-tar.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, untilNoImages } from './ground.ts';

let host: Host;
let base: Buffer;
/** Two layers on busybox: the upper one adds a file and hides one. */
let image: PackedImage;
before(async () => {
  host = await startHost();
  base = readFileSync(await fixtureTar('busybox'));
  const upper = rawTar([
    { name: 'marker', data: 'loaded' },
    { name: 'etc/.wh.nsswitch.conf', data: '' },
  ]);
  const config = { config: { Cmd: ['cat', '/marker'], Env: ['A=b'], Labels: { l: 'v' } } };
  image = packImage({ layers: [base, upper], config });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

const ID = (): string => sha256(image.config);

/** Loads, runs, removes; nothing may be left of it. */
async function works(stdin: Buffer, name = 'loaded:1', says = `Loaded image: ${name}`): Promise<void> {
  assert.equal(await host.ok(['load'], { stdin }), says);
  const reference = says.includes(name) ? name : ID();
  assert.equal(await host.ok(['run', '--rm', reference]), 'loaded');
  assert.equal(
    await host.ok(['run', '--rm', reference, 'sh', '-c', 'ls /etc/nsswitch.conf || echo $A']),
    'b',
  );
  await host.ok(['rmi', reference]);
  await empty();
}

/** Everything of every image goes. */
const empty = (): Promise<string[]> => untilNoImages(host);

test('an OCI layout, its layers and itself plain, gzip and zstd', async () => {
  for (const compression of ['none', 'gzip', 'zstd'] as const) {
    const packed = packImage({
      layers: image.layers,
      config: JSON.parse(image.config.toString()),
      compression,
    });
    const archive = ociArchive(packed, 'docker.io/library/loaded:1');
    for (const stdin of [archive, gzipSync(archive), zstdCompressSync(archive)]) await works(stdin);
  }
});

test('the form of docker save before OCI, a shared layer as a link', async () => {
  const other = packImage({ layers: [base] });
  const stdin = dockerArchive([
    [image, ['loaded:1', 'loaded:2']],
    [other, ['other:1']],
  ]);
  const lines = await host.ok(['load', '-q'], { stdin });
  assert.deepEqual(lines.split('\n'), [
    'Loaded image: loaded:1',
    'Loaded image: loaded:2',
    'Loaded image: other:1',
  ]);
  assert.deepEqual(readdirSync(join(host.root, 'layers')).filter((name) => /^\d+$/.test(name)).length, 2);
  assert.equal(await host.ok(['run', '--rm', 'loaded:2']), 'loaded');
  await host.ok(['rmi', 'loaded:1', 'loaded:2', 'other:1']);
  await empty();
});

test('a file, a folder, and an image without a name', async () => {
  const folder = join(host.folder, 'tmp/layout');
  for (const { name = '', data } of ociEntries([image.manifest], image.blobs)) {
    const path = join(folder, String(name));
    mkdirSync(data === undefined ? path : dirname(path), { recursive: true });
    if (data !== undefined) writeFileSync(path, data);
  }
  assert.equal(await host.ok(['load', '-i', folder]), `Loaded image ID: ${ID()}`);
  assert.equal(await host.ok(['load', '-i', folder, '--name', 'given']), 'Loaded image: given:latest');
  await host.ok(['rmi', 'given']);
  const file = join(host.folder, 'tmp/archive');
  writeFileSync(file, ociArchive(image));
  assert.equal(await host.ok(['load', '-i', file]), `Loaded image ID: ${ID()}`);
  await host.ok(['rmi', ID()]);
  // A link out of the folder is sent as a link, which leads nowhere in the archive.
  const [layer = ''] = [...image.blobs.keys()];
  const path = join(folder, blobPath(layer));
  writeFileSync(join(host.folder, 'tmp/outside'), image.blobs.get(layer) ?? '');
  rmSync(path);
  symlinkSync(join(host.folder, 'tmp/outside'), path);
  const { code, stderr } = await host.cli(['load', '-i', folder]);
  assert.equal(code, 125);
  assert.match(stderr, /cannot load archive: .*layer sha256:.*: the archive does not have it/);
  for (const name of ['layout', 'archive', 'outside'])
    rmSync(join(host.folder, 'tmp', name), { recursive: true });
  await empty();
});

test('of several platforms the one of the host, or the one that is asked for', async () => {
  const arm = packImage({ layers: [base], config: { architecture: 'arm64' } });
  const index = (entries: readonly object[]): Buffer =>
    Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: entries }));
  const inner = index([
    { ...arm.manifest, platform: { os: 'linux', architecture: 'arm64' } },
    { ...image.manifest, platform: { os: 'linux', architecture: 'amd64' } },
    { ...arm.manifest, platform: { os: 'unknown', architecture: 'unknown' } },
  ]);
  const blobs = new Map([...arm.blobs, ...image.blobs, [sha256(inner), inner]]);
  const entry = {
    mediaType: 'application/vnd.oci.image.index.v1+json',
    digest: sha256(inner),
    size: inner.length,
    annotations: { 'io.containerd.image.name': 'loaded:1' },
  };
  const stdin = rawTar(ociEntries([entry], blobs));
  await works(stdin);
  assert.equal(await host.ok(['load', '--platform', 'linux/arm64/v8'], { stdin }), 'Loaded image: loaded:1');
  assert.match(await host.ok(['image', 'inspect', '--format', 'api', 'loaded:1']), /arm64/);
  await host.ok(['rmi', 'loaded:1']);
  const { code, stderr } = await host.cli(['load', '--platform', 'linux/s390x'], { stdin });
  assert.equal(code, 125);
  assert.match(stderr, /it has loaded:1 for linux\/arm64, linux\/amd64, none for linux\/s390x/);
  await empty();
});

test('on a terminal one line tells how far it is, and is taken back, also by ^C', async () => {
  const filler = rawTar([{ name: 'filler', data: Buffer.alloc(20 << 20, 'x') }]);
  const packed = packImage({ layers: [base, filler] });
  const archive = ociArchive(packed, 'docker.io/library/loaded:1');
  const file = join(host.folder, 'tmp/archive');
  writeFileSync(file, archive);
  const terminal = host.terminal(['load', '-i', file], { columns: 40 });
  assert.equal(await terminal.exit(), 0);
  const shown = terminal.output().split('\r\x1b[K');
  assert.equal(shown.at(-1), 'Loaded image: loaded:1\r\n');
  assert.match(shown.join('\n'), /^archive: reading [\d.]+ .?B of [\d.]+ MB$/m);
  assert.match(shown.join('\n'), /^layer [0-9a-f]{12}: unpacking [\d.]+ .?B of/m);
  for (const line of shown.slice(0, -1)) assert.ok(line.length < 40, line);
  // One that was never sent whole.
  const fifo = join(host.folder, 'tmp/fifo');
  spawnSync('mkfifo', [fifo]);
  const stopped = host.terminal(['load', '-i', fifo]);
  const writer = createWriteStream(fifo);
  writer.on('error', () => undefined);
  writer.write(archive.subarray(0, archive.length / 2));
  await stopped.waitFor(/reading [1-9]/);
  stopped.type('\x03');
  assert.equal(await stopped.exit(), 130);
  assert.ok(stopped.output().endsWith('\r\x1b[K'));
  writer.destroy();
  for (const path of [file, fifo]) rmSync(path);
  await host.ok(['rmi', 'loaded:1']);
  await empty();
});

test('an image is as old as it says, and tells what its layers came as', async () => {
  const days = ['2024-03-01', '2020-05-06', undefined, '2022-07-08'];
  for (const [index, day] of days.entries()) {
    const created = day === undefined ? '0001-01-01T00:00:00Z' : `${day}T12:00:00Z`;
    const packed = packImage({ layers: image.layers, config: { created }, compression: 'gzip' });
    await host.ok(['load'], { stdin: ociArchive(packed, `docker.io/library/aged:${index}`) });
    const [told] = JSON.parse(await host.ok(['image', 'inspect', '--format', 'api', `aged:${index}`]));
    const { layers } = JSON.parse(packed.blobs.get(packed.manifest.digest)?.toString() ?? '');
    assert.deepEqual(
      told.layers.map(({ blob }: { blob: object }) => blob),
      layers.map(({ size, ...blob }: PackedDescriptor) => ({ ...blob, sizeBytes: size })),
    );
    const { size, ...target } = packed.manifest;
    assert.deepEqual(told.target, { ...target, sizeBytes: size });
  }
  const tags = async (...args: string[]): Promise<string> =>
    (await host.ok(['images', '--format', '{{.Tag}} {{truncate .CreatedAt 10}}', ...args])).replaceAll(
      '\n',
      ', ',
    );
  assert.equal(await tags(), '0 2024-03-01, 3 2022-07-08, 1 2020-05-06, 2 N/A');
  assert.equal(await tags('-f', 'until=2022-12-31'), '3 2022-07-08, 1 2020-05-06');
  assert.equal(await tags('-f', 'before=aged:3'), '1 2020-05-06');
  assert.equal(await tags('-f', 'since=aged:3'), '0 2024-03-01');
  await host.ok(['image', 'prune', '-a', '-f', '--filter', 'until=24h']);
  assert.equal(await tags(), '2 N/A');
  await host.ok(['image', 'prune', '-a', '-f']);
  await empty();
});

test('what is wrong is told, and nothing is left', async () => {
  const broken = new Map(image.blobs);
  const layer = sha256(image.layers[1] ?? '');
  broken.set(layer, Buffer.concat([image.layers[1] ?? Buffer.alloc(0), Buffer.alloc(512)]));
  const name = 'docker.io/library/loaded:1';
  const wrongDiffId = packImage({
    layers: image.layers,
    config: { rootfs: { type: 'layers', diff_ids: [sha256(base), sha256('x')] } },
  });
  const evil = packImage({ layers: [base, rawTar([{ name: 'a/../../../x', type: '1', link: 'nothing' }])] });
  const cases: [what: string, bytes: Buffer, says: RegExp][] = [
    ['nothing', Buffer.alloc(0), /cannot load archive: it is empty/],
    [
      'text',
      Buffer.from('hello world\n'.repeat(100)),
      /it is not a tar archive\nhint: it must be an archive of/,
    ],
    ['a root filesystem', base, /it has neither index.json nor manifest.json\nhint: .*import/],
    ['half', ociArchive(image, name).subarray(0, 1_000_000), /it ends in the middle/],
    [
      'another digest',
      rawTar(ociEntries([named(image, name)], broken)),
      new RegExp(`layer ${layer}: its content has`),
    ],
    [
      'another diff id',
      ociArchive(wrongDiffId, name),
      /cannot load image loaded:1: layer sha256:.*the diff id/,
    ],
    ['a bad layer', ociArchive(evil, name), /cannot load image loaded:1: layer sha256:[0-9a-f]{64}: entry /],
    ['a bad name', ociArchive(image, 'docker.io/UPPER:1'), /index.json.*invalid|invalid image reference/],
  ];
  for (const [what, stdin, says] of cases) {
    const { code, stdout, stderr } = await host.cli(['load'], { stdin });
    assert.equal(code, 125, `${what}: ${stderr}`);
    assert.match(stderr, says, what);
    assert.doesNotMatch(stderr, /internal/, what);
    assert.equal(stdout, '', what);
    await empty();
  }
});

/**
 * Archives of images made to deceive: names that lead to the host's files or stand for what others have, links in
 * place of blobs, checkpoints, promises about the host in annotations and labels. Whatever comes of them, nothing
 * outside is read or touched, the images that were here are what they were, and what fails leaves nothing.
 */
import assert from 'node:assert/strict';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import {
  blobPath,
  dockerArchive,
  ociArchive,
  ociEntries,
  type PackedImage,
  packImage,
  sha256,
} from '../fixtures/image-archive.ts';
import { fixtureTar } from '../fixtures/images.ts';
import { type RawEntry, rawTar } from '../fixtures/raw-tar.ts';
import { type Host, startHost } from '../harness/host.ts';
import { checkContent } from './content-rules.ts';
import { assertClean, type Canary, makeCanary, until } from './ground.ts';

let host: Host;
let canary: Canary;
let base: Buffer;
/** What is here before anything hostile comes. */
let ours: PackedImage;
let untouched = '';
before(async () => {
  host = await startHost();
  canary = makeCanary(host.folder);
  base = readFileSync(await fixtureTar('busybox'));
  ours = packImage({ layers: [base, rawTar([{ name: 'mark', data: 'ours' }])] });
  await host.ok(['load'], { stdin: ociArchive(ours, 'docker.io/library/ours:1') });
  host.remember();
  untouched = state();
});
afterEach(async () => {
  canary.assertUntouched();
  await until(state, (now) => now === untouched);
  assert.equal(await host.ok(['run', '--rm', 'ours:1', 'cat', '/mark']), 'ours');
  await assertClean(host);
});
after(() => host.dispose());

/** Serials grow, their number does not. */
const state = (): string =>
  ['layers', 'blobs/sha256', 'ingest', 'removing']
    .map((name) => `${name} ${readdirSync(join(host.root, name)).length}`)
    .join(', ');

async function refusedLoad(entries: readonly RawEntry[] | Buffer, says: RegExp, what = ''): Promise<void> {
  const stdin = Buffer.isBuffer(entries) ? entries : rawTar(entries);
  const { code, stdout, stderr } = await host.cli(['load'], { stdin });
  assert.deepEqual([code, stdout], [125, ''], `${what}: ${stderr}`);
  assert.match(stderr, says, what);
  assert.doesNotMatch(stderr, /ORIG|internal|root:/, what);
}

/** Loads, looks, and takes it away. */
async function takenAsData(stdin: Buffer, reference: string, look: () => Promise<void>): Promise<void> {
  assert.equal(await host.ok(['load'], { stdin }), `Loaded image: ${reference}`);
  await look();
  await host.ok(['rmi', '-f', reference]);
}

test('names and links in manifest.json that lead to files of the host are names in the archive', async () => {
  const config = { name: 'c.json', data: ours.config };
  const up = `${'../'.repeat(30)}${canary.path.slice(1)}/f`;
  for (const path of [`${canary.path}/f`, up, '/proc/self/environ']) {
    const layers = ours.layers.map(() => path);
    const manifest = (Config: string, Layers: readonly string[]): RawEntry => ({
      name: 'manifest.json',
      data: JSON.stringify([{ Config, RepoTags: ['hostile:1'], Layers }]),
    });
    await refusedLoad([manifest(path, layers)], /the archive has no file/, path);
    await refusedLoad([config, manifest('c.json', layers)], /the archive has no file/, path);
    for (const type of ['1', '2']) {
      const links = [
        { name: 'x/layer.tar', type, link: path },
        { name: 'x/c.json', type, link: path },
      ];
      const linked = ours.layers.map(() => 'x/layer.tar');
      const Config = type === '1' ? 'c.json' : 'x/c.json';
      await refusedLoad([...links, config, manifest(Config, linked)], /the archive has no file/, path);
    }
    await refusedLoad(
      [
        { name: 'repositories', data: JSON.stringify({ [path]: { latest: path } }) },
        { name: `${path}/layer.tar`, data: base },
      ],
      /before Docker 1.10|leads out|neither/,
      path,
    );
  }
});

test('links in place of the folders and documents of a layout lead nowhere', async () => {
  const whole = ociEntries([ours.manifest], ours.blobs);
  const outside = `${canary.path}/d`;
  for (const [name, says] of [
    ['blobs', /does not have/],
    ['blobs/sha256', /does not have/],
    ['index.json', /neither index.json nor/],
  ] as const) {
    const rest = whole.filter((entry) => !String(entry.name).startsWith(name));
    for (const type of ['1', '2']) await refusedLoad([...rest, { name, type, link: outside }], says, name);
    // A folder that is sent by the client, and a link in it to where all of it would be found.
    const folder = join(host.folder, 'tmp/layout');
    for (const { name: path = '', data } of whole) {
      const full = join(folder, String(path));
      mkdirSync(data === undefined ? full : dirname(full), { recursive: true });
      if (data !== undefined) writeFileSync(full, data);
    }
    renameSync(join(folder, name), join(host.folder, 'tmp/elsewhere'));
    symlinkSync(join(host.folder, 'tmp/elsewhere'), join(folder, name));
    const { code, stderr } = await host.cli(['load', '-i', folder]);
    assert.equal(code, 125);
    assert.match(stderr, says);
    for (const path of ['layout', 'elsewhere'])
      rmSync(join(host.folder, 'tmp', path), { recursive: true, force: true });
  }
});

test('names of content that is here already do not stand for other content', async () => {
  const other = packImage({ layers: [base, rawTar([{ name: 'mark', data: 'theirs' }])] });
  const id = sha256(ours.config);
  const hex = id.replace('sha256:', '');
  // A layout whose blobs have the digests of ours and the content of theirs.
  const swapped = new Map(other.blobs);
  swapped.set(id, other.config);
  const manifest = Buffer.from(
    JSON.stringify({ ...JSON.parse(String(ours.blobs.get(ours.manifest.digest))) }),
  );
  await refusedLoad(
    ociEntries([ours.manifest], new Map([...swapped, [ours.manifest.digest, manifest]])),
    /its content has the digest|does not have/,
  );
  // The older form has names where a layout has digests: they count for nothing.
  const upper = ours.layers[1] ?? Buffer.alloc(0);
  const pretending = rawTar([
    { name: `${hex}.json`, data: other.config },
    { name: `${sha256(base).slice(7)}/layer.tar`, data: base },
    { name: `${sha256(upper).slice(7)}/layer.tar`, data: other.layers[1] ?? '' },
    {
      name: 'manifest.json',
      data: JSON.stringify([
        {
          Config: `${hex}.json`,
          RepoTags: ['hostile:1'],
          Layers: [`${sha256(base).slice(7)}/layer.tar`, `${sha256(upper).slice(7)}/layer.tar`],
        },
      ]),
    },
  ]);
  await takenAsData(pretending, 'hostile:1', async () => {
    assert.equal(await host.ok(['run', '--rm', 'hostile:1', 'cat', '/mark']), 'theirs');
    assert.equal(await host.ok(['run', '--rm', id, 'cat', '/mark']), 'ours');
    assert.equal(await host.ok(['image', 'inspect', '--format', '{{.Id}}', 'ours:1']), id);
  });
});

test('a name that looks like the id of an image here is refused, or taken for neither', async () => {
  const other = packImage({ layers: [base, rawTar([{ name: 'mark', data: 'theirs' }])] });
  const hex = sha256(ours.config).replace('sha256:', '');
  for (const name of [hex, `sha256:${hex}`, 'UPPER', '../x', `a:${'t'.repeat(129)}`])
    await refusedLoad(dockerArchive([[other, [name]]]), /invalid image reference|reference|digest/, name);
  const short = hex.slice(0, 12);
  for (const name of [short, hex])
    await takenAsData(dockerArchive([[other, [`${name}:latest`]]]), `${name}:latest`, async () => {
      assert.equal(await host.ok(['run', '--rm', hex, 'cat', '/mark']), 'ours');
      assert.equal(await host.ok(['run', '--rm', `${name}:latest`, 'cat', '/mark']), 'theirs');
      if (name === hex) return;
      const { code, stderr } = await host.cli(['run', '--rm', short, 'cat', '/mark']);
      assert.equal(code, 125);
      assert.match(stderr, /it is the name of [0-9a-f]{12} and the beginning of sha256:/);
    });
});

test('a checkpoint of a container is an image like others, or none', async () => {
  // As podman and containerd write them: the files of the process, its log, what is to be restored.
  const files = rawTar([
    { name: 'config.dump', data: '{"name":"ours"}' },
    {
      name: 'spec.dump',
      data: JSON.stringify({ annotations: { run: canary.path }, process: { args: ['sh'] } }),
    },
    { name: 'container.log', type: '2', link: `${canary.path}/f` },
    { name: 'ctr.log', type: '1', link: `${canary.path}/f` },
    { name: 'checkpoint/', type: '5' },
    { name: 'checkpoint/pages-1.img', data: 'x' },
  ]);
  await refusedLoad(files, /neither index.json nor manifest.json/);
  const inLayer = rawTar([
    { name: 'container.log', type: '2', link: `${canary.path}/f` },
    { name: 'spec.dump', data: '{"annotations":{"a":"b"}}' },
  ]);
  const annotations = {
    'io.podman.annotations.checkpoint.name': 'ours',
    'org.criu.checkpoint.container.name': 'ours',
    'io.kubernetes.cri-o.annotations.checkpoint.name': 'ours',
    'org.opencontainers.image.title': `../../..${canary.path}/f`,
    'org.systemd.property.ExecStop': `touch ${canary.path}/x`,
  };
  const packed = packImage({ layers: [base, inLayer], manifest: { annotations } });
  const entry = {
    ...packed.manifest,
    annotations: { ...annotations, 'io.containerd.image.name': 'docker.io/library/hostile:1' },
  };
  const stdin = rawTar(ociEntries([entry], packed.blobs));
  await takenAsData(stdin, 'hostile:1', async () => {
    assert.equal(await host.ok(['ps', '-q']), '');
    assert.equal(
      await host.ok(['run', '--rm', 'hostile:1', 'sh', '-c', 'cat /container.log || echo none']),
      'none',
    );
    assert.equal(
      await host.ok(['run', '--name', 'told', 'hostile:1', 'cat', '/spec.dump']),
      '{"annotations":{"a":"b"}}',
    );
    assert.doesNotMatch(await host.ok(['inspect', 'told']), /criu|systemd|podman/);
    await host.ok(['rm', 'told']);
  });
});

test('labels that other engines act on are labels', async () => {
  const Labels = {
    'containerd.io/restart.status': 'running',
    'containerd.io/restart.loguri': `binary:///bin/sh?-c=touch%20${canary.path}/x`,
    'io.podman.annotations.privileged': 'TRUE',
    'mydocker.network': 'host',
    'mydocker.privileged': 'true',
  };
  const packed = packImage({ layers: [base], config: { config: { Labels } } });
  await takenAsData(ociArchive(packed, 'docker.io/library/hostile:1'), 'hostile:1', async () => {
    const script = 'grep CapEff /proc/self/status; readlink /proc/1/ns/net';
    const [mine, theirs] = await Promise.all(
      ['ours:1', 'hostile:1'].map((image) =>
        host.ok(['run', '--network', 'none', '--name', image.slice(0, 4), image, 'sh', '-c', script]),
      ),
    );
    assert.equal(theirs?.split('\n')[0], mine?.split('\n')[0]);
    assert.equal(await host.ok(['inspect', '--format', '{{.State.Running}}', 'host']), 'false');
    await host.ok(['rm', 'ours', 'host']);
  });
});

test('a layer that leads the next one out does not, however often and however many load it', async () => {
  const outwards = rawTar([
    { name: 'a', type: '2', link: `${canary.path}/d` },
    { name: 'b', type: '2', link: `${'../'.repeat(20)}${canary.path.slice(1)}/d` },
  ]);
  const through = rawTar([
    ...['a/x', 'b/x', 'a/inner'].map((name) => ({ name, data: 'theirs' })),
    ...['b/.wh.inner', 'a/.wh..wh..opq'].map((name) => ({ name })),
    { name: 'b/hard', type: '1', link: 'a/inner' },
    { name: 'a/./', type: '5', mode: 0o777, uid: 7 },
  ]);
  const archives = [1, 2, 3].map((round) =>
    ociArchive(
      packImage({ layers: [base, outwards, through, rawTar([{ name: 'n', data: String(round) }])] }),
      `docker.io/library/racing:${round}`,
    ),
  );
  for (let round = 0; round < 3; round += 1) {
    await Promise.all(archives.map((stdin) => host.ok(['load'], { stdin })));
    canary.assertUntouched();
    await host.ok(['rmi', ...[1, 2, 3].map((tag) => `racing:${tag}`)]);
  }
  await checkContent(host);
});

test('documents of a quarter of a gigabyte are told without being read', async () => {
  const spaces = Buffer.alloc(256 << 20, ' ');
  const peak = (): number =>
    Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${host.serverPid}/status`, 'utf8'))?.[1]) / 1024;
  const was = peak();
  for (const [name, rest] of [
    ['index.json', []],
    ['manifest.json', []],
    [blobPath(ours.manifest.digest), ociEntries([ours.manifest], []).slice(1)],
  ] as const)
    await refusedLoad(
      gzipSync(rawTar([{ name, data: spaces }, ...rest]), { level: 1 }),
      /larger than \d+ bytes|its content has the digest/,
      name,
    );
  assert.ok(peak() - was < 100, `${was} MB grew to ${peak()} MB`);
});

/** `pull` from Debian's docker-registry: names, platforms, policies, tags, layers that are shared. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import {
  OCI_INDEX_TYPE,
  ociEntries,
  type PackedImage,
  packImage,
  sha256,
} from '../fixtures/image-archive.ts';
import { fixtureTar } from '../fixtures/images.ts';
import { rawTar } from '../fixtures/raw-tar.ts';
import { TestRegistry } from '../fixtures/registry.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, refused, untilNoImages } from './ground.ts';

let host: Host;
let registry: TestRegistry;
let closed: TestRegistry;
let base: Buffer;
before(async () => {
  host = await startHost();
  base = readFileSync(await fixtureTar('busybox'));
  registry = new TestRegistry(join(host.folder, 'registry'), { port: 5000 });
  closed = new TestRegistry(join(host.folder, 'closed'), {
    port: 5001,
    login: { name: 'user', password: 'pass:word' },
  });
  await registry.start();
  await closed.start();
  host.remember();
});
afterEach(async () => {
  // A failure is not the next test's.
  await host.ok(['image', 'prune', '-a', '-f']);
  await assertClean(host);
});
after(async () => {
  await registry?.stop();
  await closed?.stop();
  await host?.dispose();
});

/** Busybox and a layer of its own. */
function image(marker: string, compression: 'none' | 'gzip' | 'zstd' = 'gzip'): PackedImage {
  const upper = rawTar([
    { name: 'marker', data: marker },
    { name: 'etc/.wh.shadow', data: '' },
  ]);
  return packImage({ layers: [base, upper], compression, config: { config: { Cmd: ['cat', '/marker'] } } });
}

const empty = (): Promise<string[]> => untilNoImages(host);

/** The last line on standard output. */
async function pull(...args: string[]): Promise<string> {
  return (await host.ok(['pull', ...args])).split('\n').at(-1) ?? '';
}

test('an image of every compression is pulled, run, up to date, and gone', async () => {
  for (const compression of ['none', 'gzip', 'zstd'] as const) {
    const packed = image(compression, compression);
    const name = await registry.put(packed, `app:${compression}`);
    assert.equal(await pull(name), `Status: Downloaded newer image for ${name}`);
    assert.equal(await host.ok(['run', '--rm', name]), compression);
    assert.equal(await pull(name), `Status: Image is up to date for ${name}`);
    const [told] = JSON.parse(await host.ok(['image', 'inspect', name]));
    assert.deepEqual(told.repoDigests ?? told.RepoDigests, [`localhost:5000/app@${packed.manifest.digest}`]);
    await host.ok(['rmi', name]);
    await empty();
  }
});

test('of an index the image for the host, or for the platform that is asked for', async () => {
  const [amd, arm] = ['amd64', 'arm64'].map((architecture) =>
    packImage({ layers: [base], config: { architecture, config: { Cmd: ['echo', architecture] } } }),
  ) as [PackedImage, PackedImage];
  const platform = (architecture: string): object => ({ platform: { os: 'linux', architecture } });
  const manifests = [
    { ...arm.manifest, ...platform('arm64') },
    { ...amd.manifest, ...platform('amd64') },
  ];
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX_TYPE, manifests }));
  const blobs = new Map([...arm.blobs, ...amd.blobs, [sha256(index), index]]);
  const top = { mediaType: OCI_INDEX_TYPE, digest: sha256(index), size: index.length };
  const archive = join(host.folder, 'registry/index.tar');
  writeFileSync(archive, rawTar(ociEntries([top], blobs)));
  const name = await registry.copy(`oci-archive:${archive}`, 'many:1', ['--all', '--preserve-digests']);
  assert.match(await host.ok(['pull', name]), new RegExp(`\nDigest: ${sha256(index)}\nStatus: Downloaded`));
  assert.equal(await host.ok(['run', '--rm', name]), 'amd64');
  assert.equal(await pull('--platform', 'linux/arm64', name), `Status: Downloaded newer image for ${name}`);
  const [told] = JSON.parse(await host.ok(['image', 'inspect', name]));
  assert.equal(told.Architecture ?? told.platform.architecture, 'arm64');
  await refused(
    host,
    ['pull', '--platform', 'linux/s390x', '-q', name],
    /it is for linux\/arm64, linux\/amd64, not for linux\/s390x/,
  );
  // By digest: no tag, and it is found by it, whatever tag stands beside it.
  await host.ok(['image', 'prune', '-a', '-f']);
  const byDigest = `localhost:5000/many:gone@${amd.manifest.digest}`;
  assert.equal(await pull(byDigest), `Status: Downloaded newer image for ${byDigest}`);
  assert.equal(await host.ok(['run', '--rm', byDigest]), 'amd64');
  assert.match(
    await host.ok(['images', '--digests']),
    new RegExp(`localhost:5000/many +<none> +${amd.manifest.digest}`),
  );
  assert.equal(await pull(byDigest), `Status: Image is up to date for ${byDigest}`);
  await host.ok(['rmi', byDigest]);
  await empty();
});

test('several, quietly, all tags, and a tag that has moved', async () => {
  const names = await Promise.all(['one', 'two'].map((tag) => registry.put(image(tag), `tags:${tag}`)));
  assert.equal(await host.ok(['pull', '-q', ...names]), names.join('\n'));
  assert.equal(readdirSync(join(host.root, 'layers')).filter((name) => /^\d+$/.test(name)).length, 3);
  await host.ok(['rmi', ...names]);
  await empty();
  const lines = (await host.ok(['pull', '--all-tags', 'localhost:5000/tags'])).split('\n');
  assert.deepEqual(
    lines.filter((line) => line.startsWith('Status')),
    names.map((name) => `Status: Downloaded newer image for ${name}`),
  );
  await refused(
    host,
    ['pull', '-q', '-a', names[0] ?? ''],
    /all tags of a repository are meant, and one is given/,
  );
  await registry.put(image('moved'), 'tags:one');
  assert.equal(await pull('localhost:5000/tags:one'), `Status: Downloaded newer image for ${names[0]}`);
  assert.equal(await host.ok(['run', '--rm', names[0] ?? '']), 'moved');
  // The old one has no name left.
  assert.equal((await host.ok(['images', '-q', '-f', 'dangling=true'])).split('\n').length, 1);
  await host.ok(['image', 'prune', '-a', '-f']);
  await empty();
});

test('policies: when the registry is asked', async () => {
  const own = new TestRegistry(join(host.folder, 'own'), { port: 5003 });
  await own.start();
  try {
    const name = await own.put(image('policy'), 'policy:1');
    await refused(host, ['pull', '-q', '--policy', 'never', name], /no such image/);
    assert.equal(await pull('--policy', 'missing', name), `Status: Downloaded newer image for ${name}`);
    await own.stop();
    const upToDate = `Status: Image is up to date for ${name}`;
    for (const policy of ['never', 'missing', 'newer'])
      assert.equal(await pull('--policy', policy, name), upToDate);
    await refused(
      host,
      ['pull', '-q', name],
      /cannot pull image .*: registry localhost:5003: nobody answers/,
    );
    await refused(host, ['pull', '-q', '--policy', 'newer', 'localhost:5003/policy:2'], /nobody answers/);
    await refused(host, ['pull', '-q', '--policy', 'often', name], /invalid pull policy "often"/);
    // All tags are those that are here.
    const all = ['pull', '-q', '-a', 'localhost:5003/policy'];
    for (const policy of ['never', 'newer']) assert.equal(await host.ok([...all, '--policy', policy]), name);
    await refused(host, all, /nobody answers/);
    await host.ok(['rmi', name]);
    await refused(host, [...all, '--policy', 'never'], /no such image/);
  } finally {
    await own.stop();
  }
  await empty();
});

test('who may come in: name and password of config.json, for their registry alone', async () => {
  const name = await closed.put(image('secret'), 'secret:1');
  await refused(
    host,
    ['pull', '-q', name],
    /registry localhost:5001: it wants credentials.*\nhint: .*localhost:5001/,
  );
  const folder = join(host.folder, 'tmp/docker');
  mkdirSync(folder);
  const write = (password: string, server = 'localhost:5001'): void => {
    const auth = Buffer.from(`user:${password}`).toString('base64');
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ auths: { [server]: { auth } } }), {
      mode: 0o600,
    });
  };
  const env = { DOCKER_CONFIG: folder };
  write('wrong');
  const wrong = await host.cli(['pull', name], { env });
  assert.match(wrong.stderr, /registry localhost:5001: it refuses the credentials/);
  write('pass:word', 'localhost:5002');
  assert.match((await host.cli(['pull', name], { env })).stderr, /it wants credentials/);
  write('pass:word');
  assert.match(await host.ok(['pull', name], { env }), /Status: Downloaded newer image/);
  assert.doesNotMatch(host.log, /pass:word|cGFzczp3b3Jk|dXNlcjpwYXNzOndvcmQ/);
  await host.ok(['rmi', name]);
  rmSync(folder, { recursive: true });
  await empty();
});

test('what is not there is told', async () => {
  await registry.put(image('there'), 'there:1');
  await refused(
    host,
    ['pull', '-q', 'localhost:5000/there:2'],
    /cannot pull image localhost:5000\/there:2: .* it has no 2/,
  );
  await refused(
    host,
    ['pull', '-q', 'localhost:5000/nowhere'],
    /cannot pull image .*nowhere:latest: .* it has no latest/,
  );
  await refused(host, ['pull', '-q', '-a', 'localhost:5000/nowhere'], /it has no repository nowhere/);
  await refused(host, ['pull', '-q', 'localhost:5999/x'], /nobody answers: connection refused/);
  await refused(
    host,
    ['pull', '-q', 'registry.invalid/x'],
    /its name could not be looked up|there is no such host/,
  );
  await refused(host, ['pull', '-q', 'UPPER'], /invalid image reference/);
  await empty();
});

test('run and create fetch what is not here, and what is asked for anew', async () => {
  const name = await registry.put(image('first'), 'fetched:1');
  const { code, stdout, stderr } = await host.cli(['run', '--rm', name]);
  assert.deepEqual([code, stdout], [0, 'first'], stderr);
  assert.match(stderr, new RegExp(`^no such image here: ${name}; pulling it\n`));
  await registry.put(image('second'), 'fetched:1');
  assert.equal(await host.ok(['run', '--rm', name]), 'first');
  await refused(host, ['create', '--pull', 'never', 'localhost:5000/other:1'], /no such image/);
  assert.equal(await host.ok(['run', '--rm', '--pull', 'always', name]), 'second');
  await host.ok(['image', 'prune', '-a', '-f']);
  await host.ok(['rm', (await host.ok(['create', name])).split('\n').at(-1) ?? '']);
  await host.ok(['rmi', name]);
  await empty();
});

test('many pulls of the same at the same time share the work', async () => {
  const name = await registry.put(image('shared'), 'shared:1');
  const all = await Promise.all(Array.from({ length: 8 }, () => pull(name)));
  for (const line of all) assert.match(line, /Status: (Downloaded newer image|Image is up to date) for/);
  assert.equal(readdirSync(join(host.root, 'layers')).filter((each) => /^\d+$/.test(each)).length, 2);
  await host.ok(['rmi', name]);
  await empty();
});

test('a terminal shows a line for each layer', async () => {
  const name = await registry.put(image('shown'), 'shown:1');
  const terminal = host.terminal(['pull', name]);
  assert.equal(await terminal.exit(), 0);
  const text = terminal.output();
  assert.match(text, /1: Pulling from localhost:5000\/shown\r\n/);
  assert.match(text, /[0-9a-f]{12}: Pull complete/);
  assert.match(text, /Status: Downloaded newer image for localhost:5000\/shown:1\r\n$/);
  await host.ok(['rmi', name]);
  await empty();
});

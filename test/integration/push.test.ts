/** `push` to Debian's docker-registry: what came with a manifest goes on as it came, everything else as small as it can. */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { promisify } from 'node:util';
import { makeAuthority } from '../fixtures/certificates.ts';
import { dockerArchive, ociArchive, type PackedImage, packImage, sha256 } from '../fixtures/image-archive.ts';
import { fixtureTar } from '../fixtures/images.ts';
import { rawTar } from '../fixtures/raw-tar.ts';
import { TestRegistry } from '../fixtures/registry.ts';
import { TokenServer } from '../fixtures/token-server.ts';
import { exitCode } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, outputOf, refused, until } from './ground.ts';

const LOGIN = { name: 'me', password: 'correct-horse' };

let host: Host;
let registry: TestRegistry;
/** Lets in only who has a name. */
let locked: TestRegistry;
let image: PackedImage;
before(async () => {
  const upper = rawTar([{ name: 'marker', data: Buffer.alloc(100_000, 'x') }]);
  const base = readFileSync(await fixtureTar('busybox'));
  image = packImage({ layers: [base, upper], config: { config: { Cmd: ['wc', '-c', '/marker'] } } });
  host = await startHost();
  registry = new TestRegistry(join(host.folder, 'registry'), { port: 5000 });
  locked = new TestRegistry(join(host.folder, 'locked'), { port: 5001, login: LOGIN });
  await Promise.all([registry.start(), locked.start()]);
  host.remember();
});
afterEach(async () => {
  await host.ok(['image', 'prune', '-a', '-f']);
  await until(
    () =>
      ['layers', 'blobs/sha256', 'ingest', 'downloads'].flatMap((name) => readdirSync(join(host.root, name))),
    (names) => names.join() === 'init-1',
  );
  await assertClean(host);
});
after(async () => {
  await registry?.stop();
  await locked?.stop();
  await host?.dispose();
});

/** What the registry has for a name. */
async function inspect(name: string, login?: typeof LOGIN): Promise<{ Digest: string; Layers: string[] }> {
  const creds = login === undefined ? [] : ['--creds', `${login.name}:${login.password}`];
  const args = ['inspect', '--tls-verify=false', '--no-tags', ...creds, `docker://${name}`];
  return JSON.parse((await promisify(execFile)('skopeo', args)).stdout) as {
    Digest: string;
    Layers: string[];
  };
}

/** A file of the archive, loaded. */
async function load(bytes: Buffer): Promise<void> {
  const path = join(host.folder, 'archive.tar');
  writeFileSync(path, bytes);
  await host.ok(['load', '-q', '-i', path]);
  rmSync(path);
}

const layersSaid = (out: string, layers: readonly string[], said: string): void => {
  for (const layer of layers) assert.match(out, new RegExp(`^${layer.slice(7, 19)}: ${said}$`, 'm'));
};

test('what was pulled keeps its digests, and its layers come from where the registry has them', async () => {
  const source = await registry.put(image, 'app:1');
  await host.ok(['pull', '-q', source]);
  const there = `${registry.address}/other/app:2`;
  await host.ok(['tag', source, there]);
  const out = await host.ok(['push', there]);
  const { Digest, Layers } = await inspect(there);
  assert.equal(Digest, (await inspect(source)).Digest);
  assert.match(out, new RegExp(`^The push refers to repository \\[${registry.address}/other/app\\]\n`));
  layersSaid(out, Layers, 'Mounted from app');
  assert.match(out, new RegExp(`^2: digest: ${Digest} size: ${image.manifest.size}$`, 'm'));
  layersSaid(await host.ok(['push', there]), Layers, 'Layer already exists');
  assert.equal(await host.ok(['push', '-q', there]), there);
  // To somebody who has nothing of it yet.
  const far = `${locked.address}/far:1`;
  await host.ok(['tag', source, far]);
  await refused(host, ['push', '-q', far], /registry localhost:5001: it wants credentials/);
  await host.ok(['login', '-u', LOGIN.name, '--password-stdin', locked.address], { stdin: LOGIN.password });
  layersSaid(await host.ok(['push', far]), Layers, 'Pushed');
  await host.ok(['rmi', source, there, far]);
  await host.ok(['pull', '-q', far]);
  assert.match(await host.ok(['run', '--rm', far]), /^100000 /);
  await host.ok(['logout', locked.address]);
});

test('what came as plain tars is compressed once, and has the same id elsewhere', async () => {
  const plain = `${registry.address}/plain`;
  await load(dockerArchive([[image, [`${plain}:1`, `${plain}:2`]]]));
  const id = await host.ok(['images', '-q', '--no-trunc', `${plain}:1`]);
  const out = await host.ok(['push', '-a', '-q', plain]);
  assert.deepEqual(out.split('\n'), [`${plain}:1`, `${plain}:2`]);
  const { Digest, Layers } = await inspect(`${plain}:1`);
  assert.equal((await inspect(`${plain}:2`)).Digest, Digest);
  // The plain ones are not kept beside the small ones.
  const kept = await until(
    () => readdirSync(join(host.root, 'blobs/sha256')),
    (names) => names.length === 3,
  );
  assert.deepEqual(kept.sort(), [id, ...Layers].map((digest) => digest.slice('sha256:'.length)).sort());
  layersSaid(await host.ok(['push', `${plain}:2`]), Layers, 'Layer already exists');
  await host.ok(['rmi', '-f', id]);
  await host.ok(['pull', '-q', `${plain}:2`]);
  assert.equal(await host.ok(['images', '-q', '--no-trunc', `${plain}:2`]), id);
  assert.match(await host.ok(['run', '--rm', `${plain}:2`]), /^100000 /);
});

test('an imported image is pushed, and skopeo has it whole', async () => {
  const name = `${registry.address}/mine:1`;
  await host.ok(['import', '-', name], { stdin: image.layers[0] ?? Buffer.alloc(0) });
  await host.ok(['push', '-q', name]);
  const folder = join(host.folder, 'copied');
  execFileSync('skopeo', [
    'copy',
    '-q',
    '--insecure-policy',
    '--src-tls-verify=false',
    `docker://${name}`,
    `dir:${folder}`,
  ]);
  const manifest = readFileSync(join(folder, 'manifest.json'));
  assert.equal(sha256(manifest), (await inspect(name)).Digest);
});

test('a token server is asked for this repository, and for the one that has the layers', async () => {
  const tokens = new TokenServer(
    makeAuthority(join(host.folder, 'ca')),
    `${LOGIN.name}:${LOGIN.password}`,
    /secret/,
  );
  await tokens.start();
  const guarded = new TestRegistry(join(host.folder, 'guarded'), { port: 5002, auth: tokens.auth });
  await guarded.start();
  try {
    const [base, app, secret] = ['base:1', 'app:1', 'secret:1'].map((name) => `${guarded.address}/${name}`);
    await load(dockerArchive([[image, [base, app, secret] as string[]]]));
    const env = { DOCKER_CONFIG: join(host.folder, 'docker') };
    await host.ok(['login', '-u', LOGIN.name, '--password-stdin', guarded.address], {
      stdin: LOGIN.password,
      env,
    });
    tokens.asked.length = 0;
    await host.ok(['push', '-q', base as string], { env });
    assert.deepEqual(tokens.asked, [{ scopes: ['repository:base:pull,push'], user: LOGIN.name }]);
    tokens.asked.length = 0;
    const { Layers } = await inspect(base as string, LOGIN);
    layersSaid(await host.ok(['push', app as string], { env }), Layers, 'Mounted from base');
    assert.deepEqual(
      tokens.asked.filter(({ scopes }) => scopes.length > 1).map(({ scopes }) => scopes),
      [['repository:app:pull,push', 'repository:base:pull']],
    );
    const { code, stderr } = await host.cli(['push', '-q', secret as string], { env });
    assert.equal(code, 125);
    assert.match(
      stderr,
      /cannot push image localhost:5002\/secret:1: registry localhost:5002: it (?:refuses|forbids)/,
    );
  } finally {
    await guarded.stop();
    await tokens.stop();
  }
});

/**
 * Hands the connections of one port on to another one; each stops after so many bytes, so that whoever sends more is
 * in the middle of it.
 */
async function stoppingRelay(
  { from, to }: { from: number; to: number },
  bytes: number,
): Promise<{ readonly stopped: Promise<void>; close(): void }> {
  const { promise: stopped, resolve } = Promise.withResolvers<void>();
  const server = createServer((near) => {
    const far = connect(to, '127.0.0.1');
    let left = bytes;
    near.on('data', (part: Buffer) => {
      far.write(part);
      left -= part.length;
      if (left > 0) return;
      near.pause();
      resolve();
    });
    far.on('data', (part) => near.write(part));
    for (const [one, other] of [[near, far] as const, [far, near] as const])
      one.on('error', () => undefined).on('close', () => other.destroy());
  }).listen(from, '127.0.0.1');
  await once(server, 'listening');
  return { stopped, close: () => server.close() };
}

test('a registry that dies is waited for, and one that stays dead gets what is missing the next time', async () => {
  const ports = { from: 5004, to: 5003 };
  const [folder, config] = [join(host.folder, 'dying'), join(host.folder, 'server.json')];
  const [behind, front] = [ports.to, ports.from].map((port) => new TestRegistry(folder, { port }));
  if (behind === undefined || front === undefined) return;
  const [small, large] = ['small', 'y'.repeat(8 << 20)].map((data) => rawTar([{ name: 'file', data }]));
  if (small === undefined || large === undefined) return;
  const layers = [small, large].map(sha256);
  const name = `${front.address}/dies:1`;
  await load(ociArchive(packImage({ layers: [small, large] }), name));
  /** A push whose registry dies while it takes the large layer and has the small one. */
  const untilDeath = async (limits: object): Promise<{ code: Promise<number>; said: () => string }> => {
    writeFileSync(config, JSON.stringify({ 'registry-limits': limits }));
    await host.stop();
    await host.start({ args: ['--config', config] });
    await behind.start();
    const relay = await stoppingRelay(ports, 4 << 20);
    const client = host.spawn(['push', name]);
    const said = outputOf(client);
    const code = exitCode(client);
    client.stderr?.on('data', (text: Buffer) => client.stdout?.emit('data', text));
    await relay.stopped;
    const hex = layers[0]?.slice('sha256:'.length) ?? '';
    // The last of what the registry writes of a layer: before, it has its bytes and does not know whose they are.
    const link = join(folder, 'content/docker/registry/v2/repositories/dies/_layers/sha256', hex, 'link');
    await until(() => existsSync(link), Boolean);
    relay.close();
    await behind.stop();
    return { code, said };
  };
  try {
    const fails = await untilDeath({ tries: 2, pauseMs: 20 });
    assert.equal(await fails.code, 125);
    assert.match(
      fails.said(),
      /cannot push image localhost:5004\/dies:1: registry localhost:5004: nobody answers/,
    );
    const waits = await untilDeath({ tries: 12, pauseMs: 50 });
    await until(waits.said, (text) => /Retrying: /.test(text));
    await front.start();
    assert.equal(await waits.code, 0, waits.said());
    layersSaid(waits.said(), layers.slice(0, 1), 'Layer already exists');
    layersSaid(waits.said(), layers.slice(1), 'Pushed');
    assert.deepEqual((await inspect(name)).Layers, layers);
  } finally {
    await behind.stop();
    await front.stop();
    await host.restart();
  }
});

/** What is half packed. */
const spools = (): string[] =>
  readdirSync(join(host.root, 'blobs/sha256')).filter((name) => name.startsWith('.tmp-'));

test('who leaves or dies while a layer is packed leaves nothing of it', async () => {
  const layer = rawTar([{ name: 'file', data: 'x' }]);
  const name = `${registry.address}/left:1`;
  await load(dockerArchive([[packImage({ layers: [layer] }), [name]]]));
  const path = join(host.root, 'blobs/sha256', sha256(layer).slice('sha256:'.length));
  const aside = join(host.folder, 'aside');
  for (const end of ['the client', 'the server']) {
    // A layer that goes on for as long as somebody reads it.
    renameSync(path, aside);
    execFileSync('mkfifo', [path]);
    const endless = spawn('sh', ['-c', 'exec head -c 1G /dev/urandom > "$0"', path]);
    const client = host.spawn(['push', '-q', name]);
    const sizes = (): number[] =>
      spools().map(
        (each) => statSync(join(host.root, 'blobs/sha256', each), { throwIfNoEntry: false })?.size ?? 0,
      );
    await until(sizes, ([size = 0]) => size > 0);
    if (end === 'the client') client.kill('SIGKILL');
    else await host.kill9();
    // SIGPIPE: nobody reads it any more.
    assert.equal(await exitCode(endless), 128 + 13, end);
    await exitCode(client);
    if (end === 'the server') await host.start();
    await until(spools, ({ length }) => length === 0);
    renameSync(aside, path);
  }
  await host.ok(['push', '-q', name]);
  assert.equal((await inspect(name)).Layers.length, 1);
});

test('a layer that does not fit packed leaves nothing, and is packed once there is room', async () => {
  const mount = (...args: string[]): unknown => execFileSync('mount', [...args, host.root]);
  await host.stop();
  mount('-t', 'tmpfs', '-o', 'size=96m', 'small');
  try {
    await host.start();
    const name = `${registry.address}/big:1`;
    const layer = rawTar([{ name: 'big', data: randomBytes(16 << 20) }]);
    await load(dockerArchive([[packImage({ layers: [layer] }), [name]]]));
    await until(
      () => readdirSync(join(host.root, 'ingest')),
      ({ length }) => length === 0,
    );
    const kept = readdirSync(join(host.root, 'blobs/sha256')).sort();
    const { blocks, bfree, bsize } = statfsSync(host.root);
    mount('-o', `remount,size=${(blocks - bfree) * bsize + (2 << 20)}`);
    await refused(
      host,
      ['push', '-q', name],
      /cannot push image localhost:5000\/big:1: no space left on the disk\nhint: remove containers/,
    );
    assert.deepEqual(readdirSync(join(host.root, 'blobs/sha256')).sort(), kept);
    mount('-o', 'remount,size=96m');
    await host.ok(['push', '-q', name]);
    assert.equal((await inspect(name)).Layers.length, 1);
  } finally {
    await host.stop();
    execFileSync('umount', ['--lazy', host.root]);
    await host.start();
  }
});

test('what cannot be pushed', async () => {
  await load(dockerArchive([[image, ['here:1', `${registry.address}/here:1`]]]));
  await refused(
    host,
    ['push', 'localhost:5000/nothing'],
    /cannot find image localhost:5000.nothing:latest: no such image/,
  );
  await refused(host, ['push', '-a', 'localhost:5000/nothing'], /no such image/);
  await refused(host, ['push', '-a', 'localhost:5000/here:1'], /all tags of a repository are meant/);
  await refused(host, ['push', `here@sha256:${'0'.repeat(64)}`], /the digest comes from the content/);
  await refused(
    host,
    ['push', '--platform', 'linux/s390x', `${registry.address}/here:1`],
    /not for linux\/s390x/,
  );
  await refused(host, ['push', '-q', 'localhost:5009/x'], /no such image/);
  await host.ok(['tag', 'here:1', 'localhost:5009/x']);
  await refused(
    host,
    ['push', '-q', 'localhost:5009/x'],
    /cannot push image localhost:5009\/x:latest: registry localhost:5009: nobody answers/,
  );
});

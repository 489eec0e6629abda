/**
 * Registries that refuse, lose, lie and break off while an image is pushed: credentials reach nobody else, nothing is
 * named that is not there whole, the error says who was at fault, and a next push sends only what is missing.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { ociArchive, packImage } from '../fixtures/image-archive.ts';
import { rawTar } from '../fixtures/raw-tar.ts';
import type { Handler, RegistryMock, SeenRequest } from '../fixtures/registry-mock.ts';
import { exitCode } from '../harness/cli.ts';
import type { Host } from '../harness/host.ts';
import { untilDead } from './deaths-ground.ts';
import { assertClean, refused, until } from './ground.ts';
import { answer, BASIC, type PullGround, startPullGround } from './pull-ground.ts';

/** Short, so that a test need not wait. */
const LIMITS = { answerMs: 1000, idleMs: 700, pauseMs: 20, retryAfterMs: 300, tries: 3, resumes: 8 };

let ground: PullGround;
let host: Host;
let mock: RegistryMock;
let other: RegistryMock;
/** Digest of the upper, small layer; of the lower one. */
let [small, large] = ['', ''];
before(async () => {
  ground = await startPullGround({ 'registry-limits': LIMITS });
  ({ host, mock, other } = ground);
  small = ground.layer;
  large = ground.digestOf(ground.image.layers[0] ?? Buffer.alloc(0));
  const path = join(host.folder, 'image.tar');
  writeFileSync(path, ociArchive(ground.image, ground.name));
  await host.ok(['load', '-q', '-i', path]);
  mock.empty();
});
afterEach(async () => {
  assert.equal(mock.uploads.open, 0, 'an upload was left');
  for (const each of [mock, other]) each.reset();
  mock.empty();
  await assertClean(host);
});
after(async () => {
  await ground?.dispose();
});

const push = (): Promise<string> => host.ok(['push', '-q', ground.name], { env: ground.env });
const fails = (message: RegExp): Promise<unknown> => refused(host, ['push', '-q', ground.name], message);
const on = (method: string, url: RegExp, handler: Handler): void =>
  mock.on(url, (request, ...rest) => (request.method === method ? handler(request, ...rest) : false));
const only =
  (until: number, handler: Handler): Handler =>
  (request, response, count) =>
    count <= until ? handler(request, response, count) : false;
const words = (code: string, message = ''): string => JSON.stringify({ errors: [{ code, message }] });
/** What was asked, without what an upload is called. */
const asked = (): string[] =>
  mock.seen.map(({ method, url }) => `${method} ${url.replace(/uploads\/\d+.*/, 'uploads/N')}`);
const isWhole = (): void => {
  assert.deepEqual(mock.has('app:1'), ground.image.blobs.get(ground.image.manifest.digest));
  for (const [digest, bytes] of ground.image.blobs) assert.deepEqual(mock.has(digest), bytes);
};

test('the name comes last, and what is there is not sent', async () => {
  await push();
  isWhole();
  const at = asked();
  const { digest } = ground.image.manifest;
  assert.deepEqual(at.slice(-2), [`PUT /v2/app/manifests/${digest}`, 'PUT /v2/app/manifests/1']);
  assert.equal(at.filter((one) => one === 'PUT /v2/app/blobs/uploads/N').length, 3);
  mock.seen.length = 0;
  await push();
  assert.ok(!asked().some((one) => one.includes('uploads')));
  // Nothing but the layer that went away there; one of another size is none.
  on('HEAD', new RegExp(small), answer(200, { 'content-length': '7' }));
  mock.seen.length = 0;
  await push();
  assert.equal(asked().filter((one) => one.startsWith('PUT /v2/app/blobs')).length, 1);
});

test('what a registry says is told, with who said it', async () => {
  const cases: [method: string, url: RegExp, handler: Handler, says: RegExp][] = [
    [
      'POST',
      /uploads/,
      answer(403, {}, words('DENIED', 'not you\u001b[2J')),
      /localhost:\d+: it forbids .*: DENIED "not you\\u001b\[2J"/,
    ],
    ['POST', /uploads/, answer(401, { 'www-authenticate': 'Basic realm="x"' }), /it wants credentials/],
    ['POST', /uploads/, answer(405, {}, words('UNSUPPORTED')), /it takes no images/],
    [
      'POST',
      /uploads/,
      answer(400, {}, words('NAME_INVALID', 'x'.repeat(5000))),
      /does not take an upload, status 400: NAME_INVALID x{50,300}…?\n/,
    ],
    ['POST', /uploads/, answer(500), /answers with status 500/],
    ['POST', /uploads/, answer(429, { 'retry-after': '9999' }), /answers with status 429/],
    ['POST', /uploads/, answer(202), /does not say where an upload goes on/],
    ['PUT', /uploads/, answer(413, {}, '<html>too large</html>'), /it has no room for layer sha256/],
    ['PUT', /uploads/, answer(507), /it has no room for layer sha256/],
    [
      'PUT',
      /uploads/,
      answer(201, { 'docker-content-digest': `sha256:${'0'.repeat(64)}` }),
      /it has sha256:0+ for what was sent as/,
    ],
    [
      'PUT',
      /uploads/,
      answer(400, {}, words('DIGEST_INVALID')),
      /it cannot go on with layer sha256.*: DIGEST_INVALID/,
    ],
    ['HEAD', /blobs/, answer(403), /it forbids layer/],
    [
      'PUT',
      /manifests.sha256/,
      answer(400, {}, words('MANIFEST_BLOB_UNKNOWN', 'blob unknown')),
      /does not take manifest sha256:[0-9a-f]+, status 400: MANIFEST_BLOB_UNKNOWN "blob unknown"/,
    ],
    [
      'PUT',
      /manifests.1/,
      answer(201, { 'docker-content-digest': `sha256:${'0'.repeat(64)}` }),
      /it has sha256:0+ for what was sent/,
    ],
    ['PUT', /manifests.sha256/, answer(302, { location: `http://${other.address}/` }), /status 302/],
  ];
  for (const [method, url, handler, says] of cases) {
    mock.reset();
    mock.empty();
    on(method, url, handler);
    await fails(says);
    assert.equal(mock.has('app:1'), undefined, 'a name was given');
  }
  assert.deepEqual(other.seen, []);
});

test('credentials are for this repository, and stay with the registry', async () => {
  ground.logIn(mock.address);
  const bearer = `Bearer realm="http://${mock.address}/token",service="s",scope="repository:all:*"`;
  mock.on(/^\/v2\//, ({ headers }, response) => {
    if (headers.authorization === 'Bearer good') return false;
    response.writeHead(401, { 'www-authenticate': bearer }).end();
    return true;
  });
  mock.on(/^\/token/, answer(200, {}, '{"token":"good"}'));
  // An upload goes on where the registry says, which gets nothing of it.
  on(
    'POST',
    /uploads/,
    only(1, (request, response) => {
      response.writeHead(202, { location: `http://${other.address}/v2/app/blobs/uploads/7?a=b%20c` }).end();
      return request.method === 'POST';
    }),
  );
  const there: SeenRequest[] = [];
  other.on(/uploads/, (request, response) => {
    there.push(request);
    const digest = decodeURIComponent(request.url.replace(/.*digest=/, ''));
    mock.put({ manifest: ground.image.manifest, blobs: new Map([[digest, request.bytes]]) }, 'x:1');
    response.writeHead(201).end();
    return true;
  });
  await push();
  const scopes = mock.seen.filter(({ url }) => url.startsWith('/token')).map(({ url }) => url);
  assert.deepEqual([...new Set(scopes)], ['/token?service=s&scope=repository%3Aapp%3Apull%2Cpush']);
  assert.match(there[0]?.url ?? '', /^\/v2\/app\/blobs\/uploads\/7\?a=b%20c&digest=sha256:[0-9a-f]{64}$/);
  assert.ok(there.every(({ headers }) => headers.authorization === undefined));
  assert.ok(
    mock.seen.every(({ url, headers }) => url.startsWith('/token') || headers.authorization !== BASIC),
  );
  for (const [location, says] of [
    ['file:///etc/passwd', /which is not on the web/],
    [`http://user:pass@${other.address}/`, /which has a user in it/],
  ] as const) {
    mock.reset();
    mock.empty();
    on('POST', /uploads/, answer(202, { location }));
    await fails(says);
  }
});

test('layers are taken from other repositories, where that is allowed', async () => {
  const base = `${mock.address}/base:1`;
  mock.put(ground.image, 'base:1');
  await host.ok(['tag', ground.name, base]);
  await host.ok(['push', '-q', base]);
  await host.ok(['rmi', base]);
  const mounts = (): string[] => asked().filter((one) => one.includes('mount='));
  on('HEAD', new RegExp(`app/blobs/(${small}|${large})`), answer(404));
  mock.seen.length = 0;
  await push();
  assert.deepEqual(
    mounts().sort(),
    [large, small]
      .map((layer) => `POST /v2/app/blobs/uploads/?mount=${layer.replace(':', '%3A')}&from=base`)
      .sort(),
  );
  assert.ok(!asked().some((one) => one.startsWith('PUT /v2/app/blobs')));
  // One that does not say so is sent the bytes, as is one that forbids it or begins an upload.
  for (const how of [answer(404), answer(403), answer(500), undefined]) {
    mock.reset();
    on('HEAD', new RegExp(`app/blobs/(${small}|${large})`), answer(404));
    mock.on(/mount=/, (request, response, count) => {
      if (how !== undefined) return how(request, response, count);
      response.writeHead(202, { location: `/v2/app/blobs/uploads/${count + 1000}` }).end();
      return true;
    });
    await push();
    assert.equal(asked().filter((one) => one.startsWith('PUT /v2/app/blobs')).length, 2);
    if (how === undefined) assert.equal(asked().filter((one) => one.startsWith('DELETE')).length, 2);
  }
});

test('an upload goes on where it broke, in pieces where they are wanted, and anew where it was lost', async () => {
  const bytes = ground.image.blobs.get(large) ?? Buffer.alloc(0);
  const patches = (): string[] =>
    mock.seen
      .filter(({ method }) => method === 'PATCH')
      .map(({ headers }) => String(headers['content-range']));
  const isLarge = new RegExp(`digest=${large}`);
  for (const after of [1, 60_000, bytes.length - 1]) {
    mock.reset();
    mock.empty();
    mock.hurt(isLarge, after, 'break');
    await push();
    isWhole();
    // A single byte is told as none is.
    if (after > 1) assert.deepEqual(patches(), [`${after}-${bytes.length - 1}`]);
  }
  // Who stands in front of it does not know what it has.
  for (const status of [502, 503, 504]) {
    mock.reset();
    mock.empty();
    mock.hurt(isLarge, 60_000, 'break');
    let times = 0;
    on('GET', /uploads/, (request, response, count) => {
      times += 1;
      return times === 1 && answer(status)(request, response, count);
    });
    await push();
    isWhole();
    assert.equal(times, 2);
    assert.deepEqual(patches(), [`60000-${bytes.length - 1}`]);
  }
  mock.reset();
  mock.empty();
  on('POST', /uploads/, (_, response) => {
    response.setHeader('oci-chunk-min-length', '1000');
    return false;
  });
  await push();
  isWhole();
  assert.equal(patches().length, 3);
  // Lost, once.
  mock.reset();
  mock.empty();
  on('PUT', isLarge, only(1, answer(404, {}, words('BLOB_UPLOAD_UNKNOWN'))));
  await push();
  isWhole();
  // The answer was.
  mock.reset();
  mock.empty();
  mock.on(isLarge, (_, response, count) => {
    if (count === 1) response.destroy();
    return false;
  });
  await push();
  isWhole();
  assert.equal(asked().filter((one) => one === 'PUT /v2/app/blobs/uploads/N').length, 3);
  // What it says that it has is not so.
  for (const range of ['0-99999999', 'nonsense', '5-7']) {
    mock.reset();
    mock.empty();
    mock.hurt(isLarge, 60_000, 'break');
    on('GET', /uploads/, answer(204, { range }));
    await push();
    isWhole();
  }
  // Not for ever.
  mock.reset();
  mock.empty();
  mock.hurt(/uploads/, 10, 'break', 1000);
  await fails(/the connection broke/);
  mock.reset();
  mock.empty();
  mock.hurt(/uploads/, 10, 'stall', 1000);
  await fails(/it took nothing for|no answer in/);
});

test('a client that leaves ends its push; the next one sends what is missing', async () => {
  mock.hurt(new RegExp(`digest=${large}`), 10, 'stall', 1000);
  const client = host.spawn(['push', '-q', ground.name]);
  await until(
    () => mock.has(small) !== undefined && mock.uploads.open > 0,
    (isSo) => isSo,
  );
  client.kill('SIGKILL');
  await exitCode(client);
  await until(
    () => mock.uploads.open,
    (open) => open === 0,
  );
  mock.reset();
  await push();
  isWhole();
  assert.equal(asked().filter((one) => one === 'PUT /v2/app/blobs/uploads/N').length, 2);
});

test('the server dies at any step; the next push sends what is missing', async () => {
  const missing = { 'push.layers': 1, 'push.config': 0, 'push.manifest': 0 };
  for (const [point, count] of Object.entries(missing)) {
    await host.stop();
    await ground.serve(`${point}=exit`);
    const dying = host.cli(['push', '-q', ground.name]);
    await untilDead(host);
    assert.equal((await dying).code, 125);
    assert.equal(mock.has('app:1'), undefined, 'a name was given');
    await ground.serve();
    mock.seen.length = 0;
    await push();
    isWhole();
    assert.equal(asked().filter((one) => one === 'PUT /v2/app/blobs/uploads/N').length, count, point);
    mock.empty();
  }
});

test('layers that are kept unpacked only are pushed where they are already', async () => {
  await host.stop();
  await ground.serve('', {}, { 'registry-limits': LIMITS, 'keep-packed-layers': false });
  const layer = rawTar([{ name: 'bare', data: 'x' }]);
  const bare = packImage({ layers: [layer] });
  const [path, name] = [join(host.folder, 'bare.tar'), `${mock.address}/bare:1`];
  writeFileSync(path, ociArchive(bare, name));
  await host.ok(['load', '-q', '-i', path]);
  await refused(host, ['push', '-q', name], /layer sha256:\w+ is not there, and only kept unpacked here\n/);
  mock.put({ manifest: bare.manifest, blobs: new Map([[ground.digestOf(layer), layer]]) }, 'elsewhere:1');
  await host.ok(['push', '-q', name]);
  assert.deepEqual(mock.has('bare:1'), bare.blobs.get(bare.manifest.digest));
  await host.ok(['rmi', name]);
  await host.stop();
  await ground.serve();
});

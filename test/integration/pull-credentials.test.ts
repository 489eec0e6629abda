/** Credentials reach the registry that they are meant for and its own place for tokens, nobody else. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { PackedImage } from '../fixtures/image-archive.ts';
import { type Handler, type RegistryMock, sendRange } from '../fixtures/registry-mock.ts';
import type { Host } from '../harness/host.ts';
import { answer, BASIC, type PullGround, startPullGround } from './pull-ground.ts';

let ground: PullGround;
let host: Host;
let mock: RegistryMock;
let other: RegistryMock;
let image: PackedImage;
let layer: string;
before(async () => {
  ground = await startPullGround();
  ({ host, mock, other, image, layer } = ground);
});
afterEach(() => ground.clean());
after(() => ground?.dispose());

const pull = (what?: string): Promise<string> => ground.pull(what);

const challenge =
  (header: string): Handler =>
  (request, response, count) =>
    request.headers.authorization === undefined
      ? answer(401, { 'www-authenticate': header })(request, response, count)
      : false;

test('name and password, where they are asked for', async () => {
  mock.on(/^\/v2\//, challenge('Basic realm="x"'));
  await ground.fails(/it wants credentials/);
  ground.logIn(mock.address);
  await pull();
  assert.ok(mock.seen.some(({ headers }) => headers.authorization === BASIC));
  mock.reset();
  mock.on(/^\/v2\//, answer(401, { 'www-authenticate': 'Basic realm="x"' }));
  await ground.failsWithLogin(/it refuses the credentials/);
  assert.ok(mock.seen.length <= 3, `${mock.seen.length} requests`);
  mock.reset();
  await ground.prune();
  // Those of another registry stay at home.
  mock.on(/^\/v2\//, challenge('Basic realm="x"'));
  ground.logIn(other.address);
  assert.match((await host.cli(['pull', ground.name], { env: ground.env })).stderr, /it wants credentials/);
  assert.ok(mock.seen.every(({ headers }) => headers.authorization === undefined));
});

test('a redirect is followed without them, and not everywhere', async () => {
  ground.logIn(mock.address);
  const bytes = image.blobs.get(layer) ?? Buffer.alloc(0);
  mock.on(/^\/v2\//, challenge('Basic realm="x"'));
  mock.on(new RegExp(layer), (request, response, count) =>
    request.headers.authorization === undefined
      ? false
      : answer(307, { location: `http://${other.address}/store`, 'set-cookie': 'a=b' })(
          request,
          response,
          count,
        ),
  );
  other.on(/store/, ({ headers }, response) => {
    sendRange(bytes, headers.range, response);
    return true;
  });
  await pull();
  assert.equal(other.seen.length, 1);
  assert.equal(other.seen[0]?.headers.authorization, undefined);
  assert.ok(mock.seen.every(({ headers }) => headers.cookie === undefined));
  await ground.prune();
  const places: [location: string, says: RegExp][] = [
    ['file:///etc/passwd', /which is not on the web/],
    [`http://user:pass@${other.address}/`, /which has a user in it/],
    ['/v2/app/manifests/1', /redirects more than 5 times/],
    ['', /redirects to|redirects more/],
  ];
  for (const [location, says] of places) {
    mock.reset();
    mock.on(/manifests/, answer(307, { location }));
    await ground.failsWithLogin(says);
  }
});

test('tokens: asked for with credentials, for this repository, and used', async () => {
  ground.logIn(mock.address);
  const bearer = `Bearer realm="http://${mock.address}/token",service="s",scope="repository:other:push,pull"`;
  mock.on(/^\/v2\//, (request, response, count) =>
    request.headers.authorization === 'Bearer good'
      ? false
      : answer(401, { 'www-authenticate': bearer })(request, response, count),
  );
  mock.on(/^\/token/, answer(200, {}, '{"token":"good","expires_in":-1}'));
  await pull();
  const asked = mock.seen.filter(({ url }) => url.startsWith('/token'));
  assert.equal(asked.length, 1);
  assert.equal(asked[0]?.url, '/token?service=s&scope=repository%3Aapp%3Apull');
  assert.equal(asked[0]?.headers.authorization, BASIC);
  // Also by somebody else, with another token: what was kept belongs to whom it was given.
  await ground.prune();
  mock.seen.length = 0;
  await host.ok(['pull', '-q', ground.name]);
  assert.equal(mock.seen.find(({ url }) => url.startsWith('/token'))?.headers.authorization, undefined);
  assert.ok(mock.seen.every(({ headers }) => headers.authorization !== BASIC));
});

test('places for tokens that are none, and answers without one', async () => {
  const realms: [realm: string, says: RegExp][] = [
    ['file:///etc/passwd', /which is not on the web/],
    ['/token', /which is no address/],
    [`http://user:pass@${mock.address}/`, /which has a user in it/],
    ['https://evil.example/token', /it wants its credentials to be sent to evil.example/],
    [
      `http://127.0.0.1:${other.address.split(':')[1]}/token`,
      /it wants its credentials to be sent to 127.0.0.1/,
    ],
  ];
  for (const [realm, says] of realms) {
    mock.reset();
    mock.on(/^\/v2\//, challenge(`Bearer realm="${realm}"`));
    await ground.failsWithLogin(says);
  }
  assert.deepEqual(other.seen, []);
  for (const header of ['Bearer realm="unfinished', 'Bearer realm', '', 'Negotiate', 'Bearer realm=a b="']) {
    mock.reset();
    mock.on(/^\/v2\//, challenge(header));
    await ground.failsWithLogin(
      /in a way that cannot be read|gives out tokens at|wants credentials|refuses the credentials/,
    );
  }
  const answers: [handler: Handler, says: RegExp][] = [
    [answer(200, {}, '{}'), /has none in it/],
    [answer(200, {}, 'null'), /has none in it/],
    [answer(200, {}, '{"token":"a\\nb: c"}'), /has none in it/],
    [answer(200, {}, '{"__proto__":{"token":"x"}}'), /has none in it/],
    [answer(200, {}, 'x'), /is no JSON/],
    [answer(200, {}, Buffer.alloc(10_000, ' ')), /longer than 4096 bytes/],
    [answer(302, { location: `http://${other.address}/` }), /answers with status 302/],
    [answer(401), /it refuses the credentials/],
    [answer(200, {}, '{"token":"never-good"}'), /it refuses the credentials/],
  ];
  for (const [handler, says] of answers) {
    mock.reset();
    const bearer = `Bearer realm="http://${mock.address}/token"`;
    mock.on(/^\/v2\//, answer(401, { 'www-authenticate': bearer }));
    mock.on(/^\/token/, handler);
    await ground.failsWithLogin(says);
    assert.ok(mock.seen.length < 10, `${mock.seen.length} requests`);
  }
  assert.deepEqual(other.seen, []);
});

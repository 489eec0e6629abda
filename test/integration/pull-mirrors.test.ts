/** Mirrors: asked in order before the registry or instead of it, each with what belongs to it and to nobody else. */
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { breakOff, RegistryMock } from '../fixtures/registry-mock.ts';
import { answer, BASIC, PATIENT, type PullGround, startPullGround } from './pull-ground.ts';

/** The mirror's own secret, which no client has. */
const SECRET = Buffer.from('mirror:for-its-eyes').toString('base64');
/** Nobody has this name: only mirrors are asked. */
const ONLY = 'only.invalid';

let ground: PullGround;
let first: RegistryMock;
let own: RegistryMock;
const second = new RegistryMock();
let authFile: string;
before(async () => {
  ground = await startPullGround();
  ({ other: first, mock: own } = ground);
  await second.start();
  first.put(ground.image, 'app:1');
  second.put(ground.image, 'cache/app:1');
  authFile = join(ground.host.folder, 'mirror-auth.json');
  writeFileSync(authFile, JSON.stringify({ auths: { [first.address]: { auth: SECRET } } }), { mode: 0o600 });
  await ground.host.stop();
  const registries = {
    [own.address]: { mirrors: [first.address, `${second.address}/cache`] },
    [ONLY]: { mirrors: [`${second.address}/none`, first.address], 'mirrors-only': true },
    [first.address]: { 'auth-file': authFile },
  };
  await ground.serve('', PATIENT, { registries });
});
afterEach(async () => {
  second.reset();
  await ground.clean();
});
after(async () => {
  await second.stop();
  await ground?.dispose();
});

const everySecret = (mock: RegistryMock): unknown[] => [
  ...new Set(mock.seen.map(({ headers }) => headers.authorization)),
];
const withBasic = (mock: RegistryMock, right: string): void =>
  mock.on(/^\/v2\//, ({ headers }, response, count) =>
    headers.authorization === right
      ? false
      : answer(401, { 'www-authenticate': 'Basic realm="x"' })({} as never, response, count),
  );

test('the first that has it is asked alone, and shown its own secret alone', async () => {
  ground.logIn(own.address);
  withBasic(first, `Basic ${SECRET}`);
  await ground.pull();
  assert.deepEqual(everySecret(first), [undefined, `Basic ${SECRET}`]);
  assert.deepEqual([...second.seen, ...own.seen], []);
  // It is the image of the registry that was named, whoever sent it.
  assert.match(await ground.host.ok(['run', '--rm', ground.name]), /^100000 /);
  assert.match(
    await ground.host.ok(['images', '--digests']),
    new RegExp(`${own.address}/app .*${ground.image.manifest.digest}`),
  );
});

test('who fails is passed over with a word, who does not have it without', async () => {
  ground.logIn(own.address);
  withBasic(own, BASIC);
  first.on(/^\/v2\//, answer(503));
  second.on(/^\/v2\//, answer(404));
  const told = await ground.host.ok(['pull', ground.name], { env: ground.env });
  assert.match(
    told,
    new RegExp(`^registry ${first.address}: it answers with status 503; going on without this mirror$`, 'm'),
  );
  assert.doesNotMatch(told, new RegExp(second.address));
  // Not again for each layer.
  assert.equal(first.seen.length, 1);
  assert.deepEqual([...everySecret(first), ...everySecret(second)], [undefined, undefined]);
  assert.ok(everySecret(own).includes(BASIC));
});

test('on a terminal the word stands above the bars', async () => {
  first.on(/^\/v2\/app\/blobs/, answer(503));
  const terminal = ground.host.terminal(['pull', ground.name]);
  assert.equal(await terminal.exit(), 0);
  const text = terminal.output();
  assert.match(text, /registry localhost:\d+: it answers with status 503; going on without this mirror\r\n/);
  assert.match(text, /[0-9a-f]{12}: Pull complete.*Status: Downloaded newer image for .*\r\n$/s);
});

test('a layer that breaks off is taken up there, and at the next one where nothing comes', async () => {
  const bytes = ground.image.blobs.get(ground.layer) ?? Buffer.alloc(0);
  const sent: string[] = [];
  for (const [mirror, after] of [
    [first, 60_000],
    [second, 0],
  ] as const)
    mirror.on(new RegExp(ground.layer), ({ headers }, response) => {
      sent.push(`${mirror === first ? 'first' : 'second'} ${headers.range ?? 'all'}`);
      if (headers.range !== undefined) response.destroy();
      else breakOff(bytes, after, response);
      return true;
    });
  await ground.pull();
  const rest = own.seen.filter(({ url }) => url.endsWith(ground.layer)).map(({ headers }) => headers.range);
  // What was on the way when it broke may be lost, all of it too.
  assert.match(sent.join(), /^first all,(first bytes=\d+-,second bytes=\d+-|second all)$/);
  assert.equal(rest.length, 1);
});

test('other bytes than were announced end the pull and name the mirror', async () => {
  const wrong = Buffer.from(ground.image.blobs.get(ground.layer) ?? []);
  wrong[600] = 1;
  first.on(new RegExp(ground.layer), answer(200, { 'content-length': String(wrong.length) }, wrong));
  await ground.fails(new RegExp(`registry ${first.address}: what it sends for sha256:.* is something else`));
  first.reset();
  const byDigest = `${own.address}/app@${ground.image.manifest.digest}`;
  first.on(/manifests/, answer(200, { 'content-type': 'application/x' }, '{}'));
  await ground.fails(new RegExp(`registry ${first.address}: .* has the digest`), byDigest);
  assert.deepEqual([...second.seen, ...own.seen], []);
});

test('mirrors alone, where the registry is not to be asked', async () => {
  await ground.pull(`${ONLY}/app:1`);
  assert.equal(second.seen[0]?.url, '/v2/none/app/manifests/1');
  await ground.fails(new RegExp(`${ONLY}/app:2: registry ${first.address}: it has no 2`), `${ONLY}/app:2`);
  first.on(/^\/v2\//, answer(401, { 'www-authenticate': 'Basic realm="x"' }));
  ground.logIn(ONLY);
  await ground.failsWithLogin(/it refuses the credentials\nhint: .*auth-file/, `${ONLY}/app:1`, ONLY);
  assert.ok(![...everySecret(first), ...everySecret(second)].includes(BASIC));
});

test('a file of secrets that everybody reads, or that is none, is not used', async () => {
  chmodSync(authFile, 0o644);
  assert.match(
    await ground.host.ok(['pull', ground.name]),
    /mirror-auth.json may be read by everybody, which is no place for a secret; going on without this mirror/,
  );
  chmodSync(authFile, 0o600);
  writeFileSync(authFile, `{"auths":{"x":"${SECRET}"`);
  await ground.prune();
  assert.match(await ground.host.ok(['pull', ground.name]), /mirror-auth.json is no JSON/);
  assert.deepEqual(first.seen, []);
  assert.doesNotMatch(ground.host.log, new RegExp(`${SECRET}|for-its-eyes`));
});

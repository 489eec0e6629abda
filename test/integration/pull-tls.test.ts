/**
 * Who is spoken to, and how: certificates, plain http, and the hosts that a registry may send us to. A registry that is
 * not on the loopback has an address of its own here.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { type Authority, makeAuthority } from '../fixtures/certificates.ts';
import { RegistryMock } from '../fixtures/registry-mock.ts';
import { refused } from './ground.ts';
import { answer, type PullGround, startPullGround } from './pull-ground.ts';

/** Of this machine's, as if it were another one's. */
const ADDRESS = '10.99.0.1';

let ground: PullGround;
let authority: Authority;
before(async () => {
  execFileSync('ip', ['address', 'add', `${ADDRESS}/32`, 'dev', 'lo']);
  ground = await startPullGround();
  authority = makeAuthority(join(ground.host.folder, 'certificates'));
});
afterEach(() => ground.clean());
after(() => ground?.dispose());

/** Starts the server with settings for one registry. */
async function settings(domain: string, values: object): Promise<void> {
  await ground.host.stop();
  await ground.serve('', {}, { registries: { [domain]: values } });
}

async function served(tls: ConstructorParameters<typeof RegistryMock>[0]): Promise<RegistryMock> {
  const mock = new RegistryMock(tls);
  await mock.start();
  mock.put(ground.image, 'app:1');
  return mock;
}

test('a certificate must be vouched for, and be the host’s; nothing is asked otherwise', async () => {
  const right = await served(authority.issue('right', 'DNS:localhost'));
  const wrong = await served(authority.issue('wrong', 'DNS:elsewhere.example'));
  try {
    for (const mock of [right, wrong]) {
      await ground.failsWithLogin(
        /its certificate.* is not to be trusted/,
        `${mock.address}/app:1`,
        mock.address,
      );
      assert.deepEqual(mock.seen, []);
    }
    await settings(wrong.address, { ca: authority.path });
    await ground.fails(
      /its certificate.* is not to be trusted: ERR_TLS_CERT_ALTNAME_INVALID/,
      `${wrong.address}/app:1`,
    );
    await settings(right.address, { ca: authority.path });
    await ground.pull(`${right.address}/app:1`);
    // Nor is anything sent.
    right.empty();
    const [there, elsewhere] = [right, wrong].map((mock) => `${mock.address}/sent:1`) as [string, string];
    for (const name of [there, elsewhere]) await ground.host.ok(['tag', `${right.address}/app:1`, name]);
    await ground.host.ok(['push', '-q', there]);
    assert.deepEqual(right.has('sent:1'), ground.image.blobs.get(ground.image.manifest.digest));
    const untrusted = /cannot push image .*: its certificate.* is not to be trusted/;
    await refused(ground.host, ['push', '-q', elsewhere], untrusted);
    assert.deepEqual(wrong.seen, []);
    // Nor does it lead to where nothing is encrypted.
    right.on(/manifests/, answer(307, { location: `http://${ground.other.address}/` }));
    await ground.failsWithLogin(/which would not be encrypted/, `${right.address}/app:1`, right.address);
    right.reset();
    right.on(/^\/v2/, answer(401, { 'www-authenticate': `Bearer realm="http://${ground.other.address}/"` }));
    await ground.failsWithLogin(/which would not be encrypted/, `${right.address}/app:1`, right.address);
    assert.deepEqual(ground.other.seen, []);
    await settings(right.address, { ca: '/nonexistent.pem' });
    await ground.fails(/\/nonexistent.pem cannot be read: ENOENT/, `${right.address}/app:1`);
  } finally {
    await right.stop();
    await wrong.stop();
  }
});

test('a token server must be vouched for too', async () => {
  const right = await served(authority.issue('registry', 'DNS:localhost'));
  const stranger = makeAuthority(join(ground.host.folder, 'others'));
  const tokens = await served(stranger.issue('tokens', 'DNS:localhost'));
  try {
    right.on(/^\/v2/, answer(401, { 'www-authenticate': `Bearer realm="https://${tokens.address}/token"` }));
    await settings(right.address, { ca: authority.path });
    await ground.failsWithLogin(
      /its certificate at localhost:\d+ is not to be trusted/,
      `${right.address}/app:1`,
      right.address,
    );
    assert.deepEqual(tokens.seen, []);
  } finally {
    await right.stop();
    await tokens.stop();
  }
});

test('a client certificate is shown where it is asked for', async () => {
  const ca = readFileSync(authority.path);
  const mock = await served({ ...authority.issue('server', 'DNS:localhost'), ca });
  const me = authority.issue('me', 'DNS:me');
  try {
    await settings(mock.address, { ca: authority.path });
    await ground.fails(/cannot pull image/, `${mock.address}/app:1`);
    assert.deepEqual(mock.seen, []);
    await settings(mock.address, {
      ca: authority.path,
      'client-cert': me.certPath,
      'client-key': me.keyPath,
    });
    await ground.pull(`${mock.address}/app:1`);
  } finally {
    await mock.stop();
  }
});

test('plain http only where it was allowed, and from there to no host of ours', async () => {
  const domain = `${ADDRESS}:${ground.mock.port}`;
  await ground.failsWithLogin(/it does not speak TLS\nhint: .*plain-http/, `${domain}/app:1`, domain);
  assert.deepEqual(ground.mock.seen, []);
  await settings(domain, { 'plain-http': true });
  await ground.pull(`${domain}/app:1`);
  await ground.prune();
  const hosts = [
    ground.other.address,
    `127.0.0.1:${ground.other.port}`,
    '169.254.169.254',
    `[::1]:${ground.other.port}`,
  ];
  for (const host of [...hosts, '[::ffff:127.0.0.1]', '0.0.0.0', '2130706433', '0x7f.1', 'a.localhost']) {
    ground.mock.reset();
    ground.mock.on(/manifests/, answer(307, { location: `http://${host}/latest/meta-data` }));
    await ground.failsWithLogin(
      /redirects to .*, which nobody but this machine can reach/,
      `${domain}/app:1`,
      domain,
    );
    ground.mock.reset();
    ground.mock.on(/^\/v2/, answer(401, { 'www-authenticate': `Bearer realm="http://${host}/token"` }));
    await ground.failsWithLogin(
      /gives out tokens at .*, which nobody but this machine can reach/,
      `${domain}/app:1`,
      domain,
    );
  }
  assert.deepEqual(ground.other.seen, []);
});

/** Registries behind a proxy: reached through it with what it wants to see, which nobody else sees. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { after, afterEach, before, test } from 'node:test';
import { makeAuthority } from '../fixtures/certificates.ts';
import { ProxyMock } from '../fixtures/proxy-mock.ts';
import { RegistryMock } from '../fixtures/registry-mock.ts';
import { answer, BASIC, PATIENT, type PullGround, startPullGround } from './pull-ground.ts';

/** Nobody has these names here: only the proxy leads there. */
const SECURE = 'registry.example';
const STORE = 'store.example';
const PLAIN = 'plain.example:5000';
const SECRET = Buffer.from('proxy:s3cret').toString('base64');

const proxy = new ProxyMock();
let ground: PullGround;
let registry: RegistryMock;
let settings: object;
before(async () => {
  ground = await startPullGround();
  const authority = makeAuthority(join(ground.host.folder, 'certificates'));
  registry = new RegistryMock(authority.issue('registry', `DNS:${SECURE},DNS:${STORE}`));
  await registry.start();
  registry.put(ground.image, 'app:1');
  await proxy.start();
  settings = { registries: { [SECURE]: { ca: authority.path }, [PLAIN]: { 'plain-http': true } } };
  await serve({ HTTPS_PROXY: proxy.address('proxy:s3cret@'), http_proxy: proxy.address('proxy:s3cret@') });
});
afterEach(async () => {
  registry.reset();
  proxy.seen.length = 0;
  proxy.answer = undefined;
  await ground.clean();
  assert.doesNotMatch(ground.host.log, new RegExp(`s3cret|${SECRET}`));
});
after(async () => {
  await proxy.stop();
  await registry?.stop();
  await ground?.dispose();
});

async function serve(env: object, more: object = {}, limits: object = PATIENT): Promise<void> {
  await ground.host.stop();
  await ground.serve('', limits, { ...settings, ...more }, env);
}

const lines = (): string[] => [...new Set(proxy.seen.map(({ line }) => line))].sort();

test('https goes through a tunnel, to where the registry sends us too', async () => {
  proxy.target = registry.port;
  ground.logIn(SECURE);
  registry.on(/^\/v2\//, ({ headers, url }, response) => {
    if (headers.host === STORE) return false;
    if (headers.authorization !== BASIC)
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    else if (url.endsWith(ground.layer))
      response.writeHead(307, { location: `https://${STORE}${url}` }).end();
    else return false;
    return true;
  });
  await ground.pull(`${SECURE}/app:1`);
  assert.deepEqual(lines(), [`CONNECT ${SECURE}:443`, `CONNECT ${STORE}:443`]);
  for (const { headers } of proxy.seen) assert.equal(headers['proxy-authorization'], `Basic ${SECRET}`);
  for (const { headers } of registry.seen) {
    assert.equal(headers['proxy-authorization'], undefined);
    if (headers.host === STORE) assert.equal(headers.authorization, undefined);
  }
  // Who is behind the tunnel must still be who was meant.
  await ground.fails(/its certificate.* is not to be trusted/, 'other.example/app:1');
});

test('plain http is asked of the proxy, this machine is not', async () => {
  proxy.target = ground.mock.port;
  await ground.pull(`${PLAIN}/app:1`);
  assert.equal(proxy.seen[0]?.line, `GET http://${PLAIN}/v2/app/manifests/1`);
  assert.equal(proxy.seen[0]?.headers['proxy-authorization'], `Basic ${SECRET}`);
  assert.equal(proxy.seen[0]?.headers.host, PLAIN);
  proxy.seen.length = 0;
  await ground.pull();
  assert.deepEqual(proxy.seen, []);
  proxy.status = 407;
  await ground.fails(/the proxy 127.0.0.1:\d+ refuses what it is shown/, `${PLAIN}/app:2`);
  proxy.status = 0;
  ground.mock.on(/manifests/, answer(307, { location: 'http://169.254.169.254/latest' }));
  await ground.fails(/which nobody but this machine can reach/, `${PLAIN}/app:1`);
  assert.ok(lines().every((line) => line.includes(PLAIN)));
});

test('a proxy that refuses, floods, stalls or is none', async () => {
  const cases: [answer: (client: Duplex) => void, says: RegExp][] = [
    [(client) => client.end('HTTP/1.1 407 no\r\n\r\n'), /the proxy 127.*refuses what it is shown of us/],
    [(client) => client.end('HTTP/1.1 403 no\r\n\r\n'), /the proxy 127.*answers with status 403/],
    [(client) => client.end('HTTP/1.1 503 no\r\n\r\n'), /the proxy 127.*answers with status 503/],
    [(client) => client.end('HTTP/1.1 200 ok\r\n\r\nmore'), /the proxy|TLS|broke/],
    [(client) => client.end('this is none\r\n\r\n'), /the proxy 127.*cannot be used: HPE_/],
    [(client) => client.end(), /the proxy 127.*cannot be used: ECONNRESET/],
    [() => undefined, /the proxy 127.*no answer in time|no answer in 3000 ms/],
    [flood, /the proxy 127.*cannot be used: HPE_HEADER_OVERFLOW/],
  ];
  await serve({ HTTPS_PROXY: proxy.address('proxy:s3cret@') }, {}, { tries: 1, answerMs: 3000 });
  for (const [handler, says] of cases) {
    proxy.answer = handler;
    await ground.fails(says, `${SECURE}/app:1`);
  }
  assert.deepEqual(registry.seen, []);
});

function flood(client: Duplex): void {
  client.write('HTTP/1.1 200 ok\r\nX: ');
  const more = (): void => {
    if (!client.destroyed) client.write('x'.repeat(10_000), () => setImmediate(more));
  };
  more();
}

test('the file goes over the environment; who is exempt is reached past it', async () => {
  await serve(
    { HTTPS_PROXY: 'http://127.0.0.1:1', HTTP_PROXY: proxy.address('proxy:s3cret@'), NO_PROXY: '*' },
    { proxies: { 'https-proxy': proxy.address(), 'no-proxy': 'plain.example,.inner.example' } },
  );
  proxy.target = registry.port;
  await ground.pull(`${SECURE}/app:1`);
  assert.equal(proxy.seen[0]?.headers['proxy-authorization'], undefined);
  proxy.seen.length = 0;
  await ground.fails(/there is no such host|could not be looked up/, `${PLAIN}/app:1`);
  assert.deepEqual(proxy.seen, []);
  await serve({ HTTPS_PROXY: 'socks5://proxy:s3cret@127.0.0.1:1' });
  await ground.fails(/no http:\/\/ or https:\/\/ address/, `${SECURE}/app:1`);
});

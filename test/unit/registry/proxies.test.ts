/** Who is reached through which proxy, as the server's file and its environment say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseProxies } from '../../../server/model/proxy.ts';
import { proxiesOf } from '../../../server/registry/proxies.ts';

const HTTPS = 'http://user:p%40ss@proxy.example:3128';

function via(none: string, url: string): string | undefined {
  const proxyFor = proxiesOf({ none }, { HTTPS_PROXY: HTTPS, http_proxy: 'plain.example:80' });
  return proxyFor('r', new URL(url))?.hostname;
}

test('each scheme has its own, this machine none', () => {
  assert.equal(via('', 'https://r.example/'), 'proxy.example');
  assert.equal(via('', 'http://r.example/'), 'plain.example');
  for (const host of ['localhost:5000', '127.0.0.1', '[::1]:5000', 'a.localhost'])
    assert.equal(via('', `https://${host}/`), undefined, host);
});

test('who is reached without one', () => {
  const cases: [none: string, url: string, isExempt: boolean][] = [
    ['*', 'https://r.example/', true],
    ['r.example', 'https://r.example/', true],
    ['r.example', 'https://a.r.example/', true],
    ['R.example, x', 'https://r.example/', true],
    ['r.example', 'https://other.example/', false],
    ['r.example', 'https://notr.example/', false],
    ['.r.example', 'https://r.example/', false],
    ['.r.example', 'https://a.r.example/', true],
    ['*.r.example', 'https://a.r.example/', true],
    ['r.example:5000', 'https://r.example/', false],
    ['r.example:5000', 'https://r.example:5000/', true],
    ['r.example:443', 'https://r.example/', true],
    ['10.0.0.1', 'https://10.0.0.1:5000/', true],
    ['10.0.0.0/8', 'https://10.9.9.9/', true],
    ['10.0.0.0/8', 'https://11.0.0.1/', false],
    ['10.0.0.0/99', 'https://10.0.0.1/', false],
    ['fd00::/8', 'https://[fd00::1]/', true],
    ['fd00::1', 'https://[fd00::1]:5000/', true],
    ['[fd00::1]:5000', 'https://[fd00::1]:5000/', true],
    [',, ', 'https://r.example/', false],
  ];
  for (const [none, url, isExempt] of cases)
    assert.equal(via(none, url), isExempt ? undefined : 'proxy.example', `${none} ${url}`);
});

test('the file goes over the environment, and says no as well', () => {
  const settings = parseProxies('f', { 'https-proxy': '', 'no-proxy': 'x.example' });
  const proxyFor = proxiesOf(settings, { HTTPS_PROXY: HTTPS, HTTP_PROXY: 'plain.example', NO_PROXY: '*' });
  assert.equal(proxyFor('r', new URL('https://r.example/')), undefined);
  assert.equal(proxyFor('r', new URL('http://r.example/'))?.hostname, 'plain.example');
});

test('what is no proxy is told without its password', () => {
  const secret = 'socks5://user:secret@p.example';
  const cases: [value: unknown, says: RegExp][] = [
    [[], /proxies is no object/],
    [{ ftp: 'x' }, /proxies has ftp, which is no setting/],
    [{ 'http-proxy': 5 }, /http-proxy that is no text/],
    [{ 'https-proxy': secret }, /https-proxy that is no http:\/\/ or https:\/\/ address$/],
  ];
  for (const [value, says] of cases) assert.throws(() => parseProxies('f', value), says);
  const proxyFor = proxiesOf({}, { HTTPS_PROXY: secret });
  assert.throws(
    () => proxyFor('r', new URL('https://r.example/')),
    (error: Error) =>
      /is no http:\/\/ or https:\/\/ address/.test(error.message) && !/secret/.test(String(error)),
  );
});

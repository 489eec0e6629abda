/** What an administrator says about registries is taken as it was meant, or refused by name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  parseRegistries,
  parseRegistryLimits,
  REGISTRY_LIMITS,
  settingsOf,
} from '../../../server/model/registry.ts';

test('settings of a registry, and of one that nothing was said about', () => {
  const registries = parseRegistries('f', {
    'Registry.example:5000': { ca: '/ca.pem', 'token-hosts': ['auth.example'] },
    'plain.example': { 'plain-http': true },
    'docker.io': { mirrors: ['m.example:5000', 'harbor.example/hub/x'], 'mirrors-only': true },
    'm.example:5000': { 'auth-file': '/auth.json' },
  });
  const nothing = { plainHttp: false, tokenHosts: [], mirrors: [], mirrorsOnly: false };
  assert.deepEqual(settingsOf(registries, 'registry.example:5000'), {
    ...{ ...nothing, ca: '/ca.pem', tokenHosts: ['auth.example'] },
  });
  assert.deepEqual(settingsOf(registries, 'docker.io'), {
    ...{ ...nothing, mirrorsOnly: true },
    mirrors: [
      { domain: 'm.example:5000', path: '' },
      { domain: 'harbor.example', path: 'hub/x' },
    ],
  });
  assert.equal(settingsOf(registries, 'm.example:5000').authFile, '/auth.json');
  assert.equal(settingsOf(registries, 'plain.example').plainHttp, true);
  for (const name of ['other.example', '__proto__', 'constructor'])
    assert.deepEqual(settingsOf(registries, name), nothing);
});

test('what cannot be meant is refused by name', () => {
  const cases: [value: unknown, says: RegExp][] = [
    [[], /f: registries is no object/],
    [{ a: 1 }, /f: registry a is no object/],
    [{ a: { mirror: [] } }, /registry a has mirror, which is no setting/],
    [{ a: { mirrors: 'm.example' } }, /has mirrors that are no list/],
    [{ a: { mirrors: [], 'mirrors-only': true } }, /has mirrors-only and no mirrors/],
    ...[
      'https://m.example',
      'm',
      'M.example',
      'docker.io',
      'm.example/',
      'm.example:0',
      5,
      '../x',
      'u@m.example',
    ].map((mirror): [unknown, RegExp] => [{ a: { mirrors: [mirror] } }, /has a mirror .*, which is no HOST/]),
    [{ a: { ca: 'relative' } }, /has a ca that is no absolute path/],
    [{ a: { 'plain-http': 'yes' } }, /neither true nor false/],
    [{ a: { 'token-hosts': ['http://x'] } }, /no list of host names/],
    [{ a: { 'client-cert': '/c' } }, /only one of client-cert and client-key/],
  ];
  for (const [value, says] of cases) assert.throws(() => parseRegistries('f', value), says);
});

test('limits go over the usual ones', () => {
  assert.deepEqual(parseRegistryLimits('f', { tries: 2 }), { ...REGISTRY_LIMITS, tries: 2 });
  for (const value of [{ tries: 0 }, { tries: 1.5 }, { tries: '2' }, { other: 1 }, null])
    assert.throws(() => parseRegistryLimits('f', value), /registry-limits/);
});

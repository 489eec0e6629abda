/** The reference grammar: what people type, what we keep, what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chainId, chainIds, digestOf, isDigest, parseDigest } from '../../../server/model/digest.ts';
import { familiarReference, formatReference, parseReference } from '../../../server/model/reference.ts';

const HEX = '0123456789abcdef'.repeat(4);

const GOOD: readonly [typed: string, full: string, familiar: string][] = [
  ['busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
  ['busybox:1.35', 'docker.io/library/busybox:1.35', 'busybox:1.35'],
  ['docker.io/busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
  ['index.docker.io/library/busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
  ['user/app', 'docker.io/user/app:latest', 'user/app:latest'],
  ['a/b/c:x', 'docker.io/a/b/c:x', 'a/b/c:x'],
  ['library/a/b', 'docker.io/library/a/b:latest', 'library/a/b:latest'],
  ['localhost/app', 'localhost/app:latest', 'localhost/app:latest'],
  ['localhost:5000/app:1', 'localhost:5000/app:1', 'localhost:5000/app:1'],
  ['GHCR.io/org/app', 'ghcr.io/org/app:latest', 'ghcr.io/org/app:latest'],
  ['[::1]:5000/x', '[::1]:5000/x:latest', '[::1]:5000/x:latest'],
  [`busybox@sha256:${HEX}`, `docker.io/library/busybox@sha256:${HEX}`, `busybox@sha256:${HEX}`],
  [
    `busybox@sha512:${HEX}${HEX}`,
    `docker.io/library/busybox@sha512:${HEX}${HEX}`,
    `busybox@sha512:${HEX}${HEX}`,
  ],
  [`busybox:1@sha256:${HEX}`, `docker.io/library/busybox:1@sha256:${HEX}`, `busybox:1@sha256:${HEX}`],
  ['a__b/c-d---e.f', 'docker.io/a__b/c-d---e.f:latest', 'a__b/c-d---e.f:latest'],
  ['0123456789ab', 'docker.io/library/0123456789ab:latest', '0123456789ab:latest'],
  [`x:${'t'.repeat(128)}`, `docker.io/library/x:${'t'.repeat(128)}`, `x:${'t'.repeat(128)}`],
];

test('references are normalized, shortened, and parse back to themselves', () => {
  for (const [typed, full, familiar] of GOOD) {
    const reference = parseReference(typed);
    assert.equal(formatReference(reference), full, typed);
    assert.equal(familiarReference(reference), familiar, typed);
    assert.deepEqual(parseReference(full), reference, full);
    assert.deepEqual(parseReference(familiar), reference, familiar);
  }
});

test('what is not a reference is refused, with the reason', () => {
  const bad = [
    '',
    ':',
    '/',
    '@',
    'a:',
    'a@',
    ':tag',
    'Busybox',
    'user/App',
    'Foo/bar',
    'a//b',
    'a/',
    '/a',
    'a/b/',
    'a..b',
    'a___b',
    '-a',
    'a-',
    '.a',
    'a b',
    'a\n',
    'a\0',
    'é',
    'busybox:-x',
    'busybox:.x',
    `x:${'t'.repeat(129)}`,
    'a:b:c',
    `a@sha256:${HEX}0`,
    `a@sha512:${HEX}`,
    `a@sha256:${HEX.slice(1)}`,
    `a@sha256:${HEX.toUpperCase()}`,
    `a@sha512:${HEX}${HEX}0`,
    `a@md5:${HEX}`,
    'a@b@c',
    'localhost:99999/x',
    'localhost:0/x',
    'localhost:/x',
    'host.:5/x',
    '-host.com/x',
    'host-.com/x',
    'a_b.com/x',
    '[::1/x',
    '[zz]:1/x',
    '[::1]x/y',
    'docker.io/',
    'http://docker.io/x',
    HEX,
    'scratch',
    'sha256:1',
    'docker.io/library/scratch:1',
    `${'a'.repeat(256)}`,
    `a.b/${'c/'.repeat(125)}dddd`,
    'x'.repeat(1_000_000),
    '../x',
    'a/../b',
    '~/x',
  ];
  for (const text of bad) {
    assert.throws(
      () => parseReference(text),
      (error: { code?: string; reason?: string }) =>
        error.code === 'invalid-argument' && error.reason === 'REFERENCE_INVALID',
      JSON.stringify(text.slice(0, 80)),
    );
  }
});

test('hostile lengths are refused in linear time', () => {
  const started = performance.now();
  for (let i = 0; i < 100; i += 1) {
    assert.throws(() => parseReference(`${'a-'.repeat(120)}!`));
    assert.throws(() => parseReference(`${'a.'.repeat(120)}/x`));
  }
  assert.ok(performance.now() - started < 1_000);
});

test('random references survive formatting', () => {
  const pick = (list: readonly string[]): string => list[Math.floor(Math.random() * list.length)] as string;
  const parts = ['a', 'b1', 'x.y', 'p_q', 'm-n', 'k__l', '0'];
  for (let i = 0; i < 2_000; i += 1) {
    const domain = pick(['', 'docker.io/', 'localhost/', 'r.example:5000/', '[fe80::1]:80/']);
    const path = Array.from({ length: 1 + Math.floor(Math.random() * 3) }, () => pick(parts)).join('/');
    const text = `${domain}${path}${pick(['', ':1', ':v1.0-x'])}${pick(['', `@sha256:${HEX}`])}`;
    // A first part with a dot is a host name, in which an underscore cannot stand.
    const reference = parseReference(text);
    assert.deepEqual(parseReference(formatReference(reference)), reference, text);
    assert.deepEqual(parseReference(familiarReference(reference)), reference, text);
  }
});

test('digests are sha256 in lower case and nothing else', () => {
  assert.equal(parseDigest(`sha256:${HEX}`), `sha256:${HEX}`);
  for (const bad of [
    '',
    HEX,
    `sha256:${HEX}0`,
    `SHA256:${HEX}`,
    `sha256:${HEX.toUpperCase()}`,
    `sha256:${HEX}\n`,
  ]) {
    assert.ok(!isDigest(bad));
    assert.throws(() => parseDigest(bad), { code: 'invalid-argument' });
  }
  assert.equal(digestOf(''), 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

test('chain ids follow the image specification', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((text) => digestOf(text)) as [
    ReturnType<typeof digestOf>,
    ReturnType<typeof digestOf>,
    ReturnType<typeof digestOf>,
  ];
  assert.equal(chainId([a]), a);
  assert.equal(chainId([a, b]), digestOf(`${a} ${b}`));
  assert.equal(chainId([a, b, c]), digestOf(`${digestOf(`${a} ${b}`)} ${c}`));
  assert.deepEqual(chainIds([a, b]), [a, chainId([a, b])]);
  assert.throws(() => chainId([]), { code: 'invalid-argument' });
});

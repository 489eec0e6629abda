/** What registries ask for is read as it was meant, or not at all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseChallenges } from '../../../server/registry/challenge.ts';

const read = (header: string): unknown =>
  parseChallenges(header)?.map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

test('one or several, with and without parameters, however they are spaced', () => {
  assert.deepEqual(read('Basic realm="a b"'), [['basic', { realm: 'a b' }]]);
  assert.deepEqual(read('Bearer realm="https://a/t",service="s, x",scope="repository:a:pull,push"'), [
    ['bearer', { realm: 'https://a/t', service: 's, x', scope: 'repository:a:pull,push' }],
  ]);
  assert.deepEqual(read('Negotiate, Basic REALM=x , Bearer  realm = "y"'), [
    ['negotiate', {}],
    ['basic', { realm: 'x' }],
    ['bearer', { realm: 'y' }],
  ]);
  assert.deepEqual(read('Basic realm="a \\"b\\" \\\\"'), [['basic', { realm: 'a "b" \\' }]]);
  assert.deepEqual(read('Basic realm="first", realm="second"'), [['basic', { realm: 'first' }]]);
  assert.deepEqual(read(''), []);
});

test('what is malformed is refused as a whole', () => {
  for (const header of [
    'Basic realm="unfinished',
    'Bearer realm="a"b',
    'Bearer realm="a\nb"',
    'Bearer realm=',
    '="x"',
    'Basic realm=a b="',
    'Bearer é="x"',
    Array(17).fill('Basic').join(','),
    `Bearer ${Array.from({ length: 33 }, (_, index) => `p${index}=x`).join(',')}`,
  ])
    assert.equal(read(header), undefined, header);
});

test('it takes no longer than it is long', () => {
  const started = performance.now();
  for (const piece of ['"\\', 'a=', ' ,', '"'.repeat(3), 'a="b",']) read(`Bearer ${piece.repeat(20_000)}`);
  assert.ok(performance.now() - started < 2000);
});

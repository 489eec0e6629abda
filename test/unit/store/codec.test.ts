/** What goes in comes out, bigints and odd keys included, and damage is noticed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeJson, decodeValue, encodeJson, encodeValue } from '../../../server/store/codec.ts';
import { eventKey, eventSeq } from '../../../server/store/schema.ts';

test('values come back as they were', () => {
  const values: unknown[] = [
    0n,
    -5n,
    (1n << 64n) - 1n,
    { a: 1n, b: [2n, { c: 3n }] },
    { $n: '5' },
    { $n: 5 },
    { $n: '5', x: 1n },
    { $$n: '5' },
    { $: { $n: '1' } },
    { $n: 'text' },
    { $n: { $n: 1n } },
    [{ $n: '7' }],
    { label: '{"$n":"1"}' },
    null,
    'text',
    [],
    {},
    { '': 1 },
    { constructor: 'x' },
  ];
  for (const value of values) assert.deepEqual(decodeJson(encodeJson(value)), value, encodeJson(value));
});

test('no text can reach a prototype', () => {
  const decoded = decodeJson(
    '{"__proto__":{"polluted":1},"$x":{"__proto__":{"polluted":1}},"a":2}',
  ) as Record<string, unknown>;
  assert.equal(Object.getPrototypeOf(decoded), Object.prototype);
  assert.equal(decoded['polluted'], undefined);
  assert.equal(decoded['a'], 2);
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
});

test('a hostile number stays text', () => {
  assert.deepEqual(decodeJson('{"$n":"0x10"}'), { n: '0x10' });
  assert.deepEqual(decodeJson(`{"$n":"${'9'.repeat(1000)}"}`), { n: '9'.repeat(1000) });
});

test('a stored value knows its key and its bytes', () => {
  const stored = encodeValue('container!a', { rev: 1n });
  assert.deepEqual(decodeValue('container!a', stored), { rev: 1n });
  assert.throws(() => decodeValue('container!b', stored), { code: 'data-loss' });
  for (let at = 0; at < stored.length; at += 1) {
    const flipped =
      stored.slice(0, at) + String.fromCharCode(stored.charCodeAt(at) ^ 1) + stored.slice(at + 1);
    assert.throws(() => decodeValue('container!a', flipped));
  }
  assert.throws(() => decodeValue('container!a', ''));
});

test('event keys sort as their numbers', () => {
  const seqs = [1n, 9n, 10n, 15n, 16n, 255n, 256n, 1n << 40n];
  assert.deepEqual(seqs.map(eventKey).sort().map(eventSeq), seqs);
});

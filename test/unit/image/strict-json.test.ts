/** JSON from outside: what every reader agrees on is read, everything else refused. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseStrictJson } from '../../../server/image/strict-json.ts';

const parse = (text: string | Buffer): unknown => parseStrictJson(Buffer.from(text));
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('what Node reads is read the same', () => {
  const texts = [
    'null',
    ' [ ] ',
    '{}',
    '{"a":1,"b":[true,false,null,"x"],"c":{"d":-1.5e3}}',
    '"\\u00e9\\n\\"\\\\\\/ é 😀 \\ud83d\\ude00"',
    '[0,-7,10,1e5,1E+2,0.25]',
    '\n\t{ "a" : [ 1 , 2 ] }\r\n',
    '{"":""}',
  ];
  for (const text of texts) assert.deepEqual(plain(parse(text)), JSON.parse(text), text);
});

test('objects have no prototype', () => {
  const value = parse('{"__proto__":{"a":1},"toString":2}') as Record<string, unknown>;
  assert.equal(Object.getPrototypeOf(value), null);
  assert.deepEqual(Object.keys(value), ['__proto__', 'toString']);
});

describe('refused', () => {
  const cases: [what: string, text: string | Buffer][] = [
    ['nothing', ''],
    ['an end too early', '{"a":'],
    ['a string without end', '"a'],
    ['a string that ends in a backslash', '"a\\'],
    ['trailing data', '{} {}'],
    ['a trailing comma', '[1,]'],
    ['a trailing comma in an object', '{"a":1,}'],
    ['equal keys', '{"a":1,"a":2}'],
    ['equal keys written differently', '{"a":1,"\\u0061":2}'],
    ['a key that is none', '{a:1}'],
    ['a byte order mark', '\ufeff{}'],
    ['UTF-16', Buffer.from('{}', 'utf16le')],
    ['bytes that are no UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['a lone surrogate', '"\\ud800"'],
    ['a raw control character', '"a\nb"'],
    ['a wrong escape', '"\\x41"'],
    ['NaN', 'NaN'],
    ['Infinity', 'Infinity'],
    ['a number too large', '1e400'],
    ['a leading zero', '01'],
    ['a plus', '+1'],
    ['a point without digits', '1.'],
    ['a comment', '/* */ {}'],
    ['a single quote', "'a'"],
    ['33 lists in each other', `${'['.repeat(34)}${']'.repeat(34)}`],
    ['100,000 lists in each other', '['.repeat(100_000)],
    ['a word that is none', 'nul'],
  ];
  for (const [what, text] of cases)
    test(what, () => {
      assert.throws(() => parse(text), { reason: 'JSON_INVALID' });
    });
});

test('4 MiB are read in a moment', () => {
  const text = JSON.stringify(
    Array.from({ length: 60_000 }, (_, index) => ({ digest: `sha256:${index}`, size: 1 })),
  );
  const start = performance.now();
  parse(text.padEnd(4 << 20));
  assert.ok(performance.now() - start < 2000);
});

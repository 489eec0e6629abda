/** Ids, names and how a user's words become an id. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isId, newId, newRunId, shortId } from '../../../server/model/ids.ts';
import { parseName, randomName } from '../../../server/model/name.ts';
import {
  insertSorted,
  lowerBound,
  removeSorted,
  resolveContainer,
  resolveImage,
  withPrefix,
} from '../../../server/model/resolve.ts';
import { nowNs } from '../../../server/model/time.ts';

const rejects = (run: () => unknown, code: string): void => {
  assert.throws(run, (error: { code?: string }) => error.code === code);
};

test('ids are whole, unlike and never numbers when short', () => {
  const ids = Array.from({ length: 500 }, newId);
  assert.ok(ids.every(isId));
  assert.equal(new Set(ids).size, 500);
  assert.ok(ids.every((id) => /[a-f]/.test(shortId(id)) && shortId(id).length === 12));
  assert.match(newRunId(), /^[0-9a-f]{16}$/);
  assert.equal(shortId(`sha256:${'ab'.repeat(32)}`), 'abababababab');
  for (const bad of ['', 'A'.repeat(64), 'a'.repeat(63), 'a'.repeat(65), `${'a'.repeat(64)}\n`]) {
    assert.ok(!isId(bad));
  }
});

test('time never repeats within a burst', () => {
  const times = Array.from({ length: 10_000 }, nowNs);
  for (let i = 1; i < times.length; i += 1) assert.ok((times[i] as bigint) > (times[i - 1] as bigint));
});

test('names that could be paths, options or ids are refused', () => {
  const bad = [
    '',
    'a',
    '.',
    '..',
    '/x',
    'a/b',
    '-rf',
    '--help',
    '_a',
    '.a',
    'a b',
    'é1',
    'a\0b',
    'a\n',
    '%2e%2e',
  ];
  for (const name of [...bad, 'a'.repeat(129), 'x'.repeat(10_000), 'ab'.repeat(32), 'ab'.repeat(6)]) {
    rejects(() => parseName(name), 'invalid-argument');
  }
  for (const name of ['ab', 'web-1', 'A.b_c-d', 'CON', 'a'.repeat(128), '0a', 'deadbeef', 'AB'.repeat(32)]) {
    assert.equal(parseName(name), name);
  }
});

test('random names are valid, and found even when every plain one is taken', () => {
  for (let i = 0; i < 200; i += 1) parseName(randomName(() => false));
  assert.match(
    randomName((name) => !/\d/.test(name)),
    /^[a-z]+_[a-z]+\d+$/,
  );
});

test('a sorted id array stays sorted and free of doubles', () => {
  const ids: string[] = [];
  for (const id of ['c', 'a', 'b', 'a', 'd']) insertSorted(ids, id);
  assert.deepEqual(ids, ['a', 'b', 'c', 'd']);
  removeSorted(ids, 'b');
  removeSorted(ids, 'x');
  assert.deepEqual(ids, ['a', 'c', 'd']);
  assert.equal(lowerBound(ids, 'b'), 1);
  assert.deepEqual(withPrefix(['ab1', 'ab2', 'ac'], 'ab', 5), ['ab1', 'ab2']);
});

const A = `aaaa${'0'.repeat(60)}`;
const B = `aaab${'0'.repeat(60)}`;
const C = `beef${'0'.repeat(60)}`;
const names = new Map([
  ['web', A],
  ['beef', B],
]);
const index = { ids: [A, B, C], idByName: (name: string): string | undefined => names.get(name) };

test('a container is found by id, then name, then unique prefix', () => {
  assert.equal(resolveContainer(A, index), A);
  assert.equal(resolveContainer('web', index), A);
  assert.equal(resolveContainer('beef', index), B);
  assert.equal(resolveContainer('bee', index), C);
  for (const query of ['', 'nope', 'f', 'AAAA', '../x', 'd'.repeat(64), 'a'.repeat(10_000)]) {
    rejects(() => resolveContainer(query, index), 'not-found');
  }
});

test('an ambiguous prefix is an error that names the candidates', () => {
  assert.throws(() => resolveContainer('aaa', index), /aaaa00000000, aaab00000000/);
  const twins = ['1', '2'].map((digit) => `abcdef123456${digit}${'0'.repeat(51)}`);
  assert.throws(
    () => resolveContainer('abcdef123456', { ids: twins, idByName: () => undefined }),
    (error: Error) => twins.every((id) => error.message.includes(id)),
  );
});

test('resolving costs no more in ten thousand containers than the search needs', () => {
  const ids = Array.from({ length: 10_000 }, newId).sort();
  let looked = 0;
  const counting = new Proxy(ids, {
    get(target, key) {
      if (typeof key === 'string' && /^\d+$/.test(key)) looked += 1;
      return Reflect.get(target, key);
    },
  });
  const wanted = ids[7_777] as string;
  assert.equal(resolveContainer(wanted.slice(0, 40), { ids: counting, idByName: () => undefined }), wanted);
  assert.ok(looked < 40, `${looked} looks`);
});

test('an image is found by id, digest form, reference and prefix', () => {
  const id = `sha256:${'5'.repeat(64)}`;
  const images = {
    ids: [id],
    idByName: (name: string): string | undefined =>
      name === 'docker.io/library/busybox:latest' ? id : undefined,
  };
  for (const query of [
    id,
    '5'.repeat(64),
    'sha256:555',
    '555',
    'busybox',
    'docker.io/library/busybox:latest',
  ]) {
    assert.equal(resolveImage(query, images), id);
  }
  for (const query of ['sha256:6', '6'.repeat(64), 'redis', 'abc']) {
    rejects(() => resolveImage(query, images), 'not-found');
  }
  rejects(() => resolveImage('BAD', images), 'invalid-argument');
});

test('an image whose name looks like the short id of another one is not taken for it', () => {
  const [own, other] = [`sha256:${'4'.repeat(64)}`, `sha256:${'5'.repeat(64)}`];
  const named = (id: string): ((name: string) => string | undefined) => {
    const full = new Set(
      ['5'.repeat(12), '5'.repeat(63), 'cafe'].map((name) => `docker.io/library/${name}:latest`),
    );
    return (name) => (full.has(name) ? id : undefined);
  };
  const images = { ids: [own, other], idByName: named(own) };
  for (const query of ['5'.repeat(12), '5'.repeat(63)]) {
    assert.throws(
      () => resolveImage(query, images),
      /is the name of 444444444444 and the beginning of sha256:5{64}/,
    );
    assert.equal(resolveImage(`${query}:latest`, images), own);
    assert.equal(resolveImage(query, { ids: [other], idByName: named(other) }), other);
  }
  assert.equal(
    resolveImage('cafe', { ids: [own, `sha256:cafe${'5'.repeat(60)}`], idByName: named(own) }),
    own,
  );
});

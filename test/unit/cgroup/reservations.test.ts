import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { isReserving, Reservations } from '../../../server/cgroup/reservations.ts';
import { LAYOUTS } from '../spec/sample-plans.ts';

const unified = mkdtempSync(join(tmpdir(), 'mydocker-reservations-'));
after(() => rmSync(unified, { recursive: true }));

function group(path: string, low: string, min = '0'): void {
  mkdirSync(join(unified, path), { recursive: true });
  writeFileSync(join(unified, path, 'memory.low'), `${low}\n`);
  writeFileSync(join(unified, path, 'memory.min'), `${min}\n`);
}
const valuesOf = (path: string): string[] =>
  ['memory.low', 'memory.min'].map((file) => readFileSync(join(unified, path, file), 'utf8').trim());

test('groups above reserve what those below do, up to the last that is ours', () => {
  for (const path of ['/theirs', '/theirs/ours', '/theirs/ours/inner', '/theirs/ours/inner2'])
    group(path, '0');
  const [a, b, other] = [
    '/theirs/ours/inner/a',
    '/theirs/ours/inner/b',
    '/theirs/ours/inner2/other',
  ] as const;
  group(a, '100', '7');
  group(b, '20');
  group(other, '3');
  const reservations = new Reservations({ kind: 'v2', unified, hierarchies: [] });
  for (const path of [a, b, other]) reservations.note(path, '/theirs/ours');
  assert.deepEqual(valuesOf('/theirs/ours/inner'), ['120', '7']);
  assert.deepEqual(valuesOf('/theirs/ours/inner2'), ['3', '0']);
  assert.deepEqual(valuesOf('/theirs/ours'), ['123', '7']);
  assert.deepEqual(valuesOf('/theirs'), ['0', '0']);
  group(a, 'max');
  reservations.note(a, '/theirs/ours');
  assert.deepEqual(valuesOf('/theirs/ours'), ['max', '0']);
  reservations.forget(a, '/theirs/ours');
  assert.deepEqual(valuesOf('/theirs/ours/inner'), ['20', '0']);
  assert.deepEqual(valuesOf('/theirs/ours'), ['23', '0']);
  // One that is gone already, and one of which nothing was noted.
  reservations.note('/theirs/gone/x', '/theirs/gone');
  reservations.forget('/theirs/ours/inner/c', '/theirs/ours');
  assert.deepEqual(valuesOf('/theirs/ours'), ['23', '0']);
  new Reservations(LAYOUTS.hybrid).note(b, '/theirs/ours');
});

test('who reserves memory', () => {
  assert.ok(isReserving({ memoryReservationBytes: 0n }));
  assert.ok(isReserving({ unified: { 'memory.min': '5' } }));
  assert.ok(!isReserving({ memoryLimitBytes: 5n, unified: { 'memory.high': '5' } }));
});

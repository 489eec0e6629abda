import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { isReserving, passReservations } from '../../../server/cgroup/reservations.ts';
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
  for (const path of ['/theirs', '/theirs/ours', '/theirs/ours/inner']) group(path, '0');
  group('/theirs/ours/inner/a', '100', '7');
  group('/theirs/ours/inner/b', '20');
  group('/theirs/ours/other', '3');
  // Of a container that is about to begin.
  mkdirSync(join(unified, '/theirs/ours/inner/c'));
  const layout = { kind: 'v2', unified, hierarchies: [] } as const;
  const pass = (): void => passReservations(layout, '/theirs/ours/inner', '/theirs/ours');
  pass();
  assert.deepEqual(valuesOf('/theirs/ours/inner'), ['120', '7']);
  assert.deepEqual(valuesOf('/theirs/ours'), ['123', '7']);
  assert.deepEqual(valuesOf('/theirs'), ['0', '0']);
  group('/theirs/ours/inner/a', 'max');
  pass();
  assert.deepEqual(valuesOf('/theirs/ours'), ['max', '0']);
  rmSync(join(unified, '/theirs/ours/inner/a'), { recursive: true });
  pass();
  assert.deepEqual(valuesOf('/theirs/ours/inner'), ['20', '0']);
  passReservations(layout, '/theirs/gone', '/theirs/gone');
  passReservations(LAYOUTS.hybrid, '/theirs/ours/inner', '/theirs/ours');
});

test('who reserves memory', () => {
  assert.ok(isReserving({ memoryReservationBytes: 0n }));
  assert.ok(isReserving({ unified: { 'memory.min': '5' } }));
  assert.ok(!isReserving({ memoryLimitBytes: 5n, unified: { 'memory.high': '5' } }));
});

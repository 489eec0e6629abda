/** Where the last lines of a log begin, counted over files, parts of lines and a line that is not finished. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { tailPosition } from '../../../server/task/log-file.ts';

/** F: a whole line or the last part of one; P: a part that something follows. */
const record = (text: string): string => `2026-11-22T03:13:00.123456789Z stdout ${text}\n`;

/** @param files - records of each. @returns those that begin at the position, without their times. */
function tail(files: readonly (readonly string[])[], lines: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'mydocker-tail-'));
  const texts = files.map((records) => records.map(record).join(''));
  for (const [index, text] of texts.entries()) {
    writeFileSync(join(folder, `${String(index + 1).padStart(8, '0')}.log`), text);
  }
  const { serial, offset } = tailPosition(folder, lines);
  rmSync(folder, { recursive: true });
  const rest = texts
    .slice(serial - 1)
    .join('')
    .slice(offset);
  return rest
    .split('\n')
    .filter(Boolean)
    .map((line) => line.slice(38))
    .join(', ');
}

test('the tail of one file', () => {
  const lines = ['F 1', 'F 2', 'P x', 'F 3'];
  assert.equal(tail([lines], 0), '');
  assert.equal(tail([lines], 1), 'P x, F 3');
  assert.equal(tail([lines], 2), 'F 2, P x, F 3');
  for (const count of [3, 4, 1000]) assert.equal(tail([lines], count), 'F 1, F 2, P x, F 3');
});

test('a line that is not finished counts', () => {
  assert.equal(tail([['F 1', 'F 2', 'P x']], 1), 'P x');
  assert.equal(tail([['F 1', 'F 2', 'P x', 'P y']], 2), 'F 2, P x, P y');
  assert.equal(tail([['P x']], 1), 'P x');
});

test('the tail goes on into older files', () => {
  const files = [['F 1', 'F 2'], ['F 3'], ['F 4', 'P x']];
  assert.equal(tail(files, 1), 'P x');
  assert.equal(tail(files, 2), 'F 4, P x');
  assert.equal(tail(files, 3), 'F 3, F 4, P x');
  assert.equal(tail(files, 4), 'F 2, F 3, F 4, P x');
  assert.equal(tail(files, 9), 'F 1, F 2, F 3, F 4, P x');
});

test('a tail that is longer than one block of reading', () => {
  const long = Array.from({ length: 20_000 }, (_, index) => `F line ${index}`);
  assert.equal(tail([long], 15_000).split(', ').length, 15_000);
  assert.equal(tail([long], 19_999).split(', ').length, 19_999);
});

import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  isBefore,
  LOG_READ_BYTES,
  LogCursor,
  logEnd,
  logName,
  logSerials,
  tailPosition,
  watchLog,
} from '../../../server/task/log-file.ts';

const root = mkdtempSync(join(tmpdir(), 'mydocker-log-'));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, 'logs-'));
});
after(() => rmSync(root, { recursive: true }));

const write = (serial: number, content: string | Buffer): void =>
  writeFileSync(join(folder, logName(serial)), content);
const record = (tag: 'F' | 'P', text: string): string =>
  `2026-11-22T03:13:00.123456789Z stdout ${tag} ${text}\n`;

/** Everything from a position to the end, or to another position. */
async function readAll(
  from: { serial: number; offset: number },
  until?: { serial: number; offset: number },
): Promise<string> {
  await using cursor = new LogCursor(folder, from);
  const parts: Buffer[] = [];
  for (let bytes = await cursor.read(until); bytes.length > 0; bytes = await cursor.read(until))
    parts.push(Buffer.from(bytes));
  return Buffer.concat(parts).toString();
}

test('files are named by number and found in order, others are not theirs', () => {
  assert.deepEqual([logName(1), logName(12_345_678)], ['00000001.log', '12345678.log']);
  for (const name of ['00000010.log', '00000002.log', '1.log', '00000003.log.gz', 'x', '00000004.txt'])
    writeFileSync(join(folder, name), '');
  assert.deepEqual(logSerials(folder), [2, 10]);
});

test('positions are ordered by file, then by byte', () => {
  const at = (serial: number, offset: number): { serial: number; offset: number } => ({ serial, offset });
  assert.ok(isBefore(at(1, 9), at(2, 0)) && isBefore(at(1, 1), at(1, 2)));
  assert.ok(!isBefore(at(1, 1), at(1, 1)) && !isBefore(at(2, 0), at(1, 9)));
});

test('reading goes on over files and stops where it is told', async () => {
  write(1, 'aaaa');
  write(2, 'bbbb');
  write(4, 'cccc');
  assert.equal(await readAll({ serial: 1, offset: 0 }), 'aaaabbbbcccc');
  assert.equal(await readAll({ serial: 1, offset: 2 }, { serial: 2, offset: 3 }), 'aabbb');
  assert.equal(await readAll({ serial: 1, offset: 0 }, { serial: 2, offset: 0 }), 'aaaa');
  assert.equal(await readAll({ serial: 2, offset: 1 }, { serial: 2, offset: 1 }), '');
  assert.equal(await readAll({ serial: 4, offset: 4 }), '');
  assert.equal(await readAll({ serial: 2, offset: 0 }, { serial: 1, offset: 3 }), '');
});

test('what was rotated away is skipped', async () => {
  write(3, 'cccc');
  write(5, 'dddd');
  assert.equal(await readAll({ serial: 1, offset: 2 }), 'ccccdddd');
  assert.equal(await readAll({ serial: 4, offset: 100 }), 'dddd');
  unlinkSync(join(folder, logName(3)));
  unlinkSync(join(folder, logName(5)));
  assert.equal(await readAll({ serial: 1, offset: 0 }), '');
  rmSync(folder, { recursive: true });
  assert.equal(await readAll({ serial: 1, offset: 0 }), '');
});

test('a file that is removed while it is read is read to its end', async () => {
  write(1, 'x'.repeat(LOG_READ_BYTES + 5));
  write(2, 'end');
  await using cursor = new LogCursor(folder, { serial: 1, offset: 0 });
  assert.equal((await cursor.read()).length, LOG_READ_BYTES);
  unlinkSync(join(folder, logName(1)));
  assert.equal((await cursor.read()).toString(), 'xxxxx');
  assert.equal((await cursor.read()).toString(), 'end');
});

test('what is appended later is read later', async () => {
  write(1, 'one');
  await using cursor = new LogCursor(folder, { serial: 1, offset: 0 });
  assert.equal((await cursor.read()).toString(), 'one');
  assert.equal((await cursor.read()).length, 0);
  appendFileSync(join(folder, logName(1)), 'two');
  assert.equal((await cursor.read()).toString(), 'two');
  assert.deepEqual(cursor.position, { serial: 1, offset: 6 });
  cursor.stepBack(2);
  assert.equal((await cursor.read()).toString(), 'wo');
  write(2, 'three');
  assert.equal((await cursor.read()).toString(), 'three');
});

test('a reader at the end misses nothing of a file that grows just before the next one begins', async () => {
  write(1, 'one');
  await using cursor = new LogCursor(folder, { serial: 1, offset: 0 });
  assert.equal((await cursor.read()).toString(), 'one');
  const reading = cursor.read();
  // The kernel is asked, and answers that there is nothing, while this thread stands still.
  for (let turn = 0; turn < 20; turn += 1) await null;
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  appendFileSync(join(folder, logName(1)), 'two');
  write(2, 'three');
  assert.equal((await reading).toString(), 'two');
  assert.equal((await cursor.read()).toString(), 'three');
});

test('the end is where the last file ends', () => {
  assert.deepEqual(logEnd(folder), { serial: 1, offset: 0 });
  write(2, 'abc');
  write(7, 'abcde');
  assert.deepEqual(logEnd(folder), { serial: 7, offset: 5 });
});

/** Where the last lines begin, counted without cleverness. */
function slowTail(records: readonly string[], lines: number): string {
  const isWhole = (text: string): boolean => text[38] === 'F';
  const last = records.at(-1);
  let missing = lines - (last === undefined || isWhole(last) ? 0 : 1);
  if (lines <= 0) return '';
  for (let i = records.length - 1; i >= 0; i--)
    if (isWhole(records[i] ?? '') && --missing < 0) return records.slice(i + 1).join('');
  return records.join('');
}

test('the tail is the last lines, wherever files and lines are cut', async () => {
  let seed = 1;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
  for (let round = 0; round < 60; round++) {
    rmSync(folder, { recursive: true });
    folder = mkdtempSync(join(root, 'logs-'));
    const records: string[] = [];
    const files = 1 + random(4);
    for (let serial = 1; serial <= files; serial++) {
      const mine = Array.from({ length: random(6) }, () =>
        record(random(3) === 0 ? 'P' : 'F', 'F x'.repeat(random(2) * random(30))),
      );
      records.push(...mine);
      write(serial, mine.join(''));
    }
    for (let lines = 0; lines < 8; lines++)
      assert.equal(
        await readAll(tailPosition(folder, lines)),
        slowTail(records, lines),
        `round ${round}, ${lines} lines`,
      );
  }
});

test('a line of a megabyte is found whole', async () => {
  const part = 'y'.repeat(65_000);
  const long = Array.from({ length: 20 }, () => record('P', part)).join('') + record('F', 'end');
  write(1, record('F', 'before') + long);
  write(2, long + record('F', 'after'));
  assert.equal(await readAll(tailPosition(folder, 1)), record('F', 'after'));
  assert.equal(await readAll(tailPosition(folder, 2)), long + record('F', 'after'));
  assert.equal(await readAll(tailPosition(folder, 3)), long + long + record('F', 'after'));
});

test('an empty log has no tail', () => {
  assert.deepEqual(tailPosition(folder, 10), { serial: 1, offset: 0 });
  write(1, '');
  assert.deepEqual(tailPosition(folder, 10), { serial: 1, offset: 0 });
});

test('junk in a log does not stop the count', async () => {
  write(1, `${record('F', 'one')}junk\n\n${record('F', 'two')}`);
  const tail = await readAll(tailPosition(folder, 1));
  assert.ok(tail.endsWith(record('F', 'two')));
  assert.ok(!tail.includes('one'));
});

test('whoever watches a log hears of a change, until it stops', async () => {
  let changes = 0;
  const stop = watchLog(folder, () => changes++);
  write(1, 'x');
  for (let i = 0; i < 200 && changes === 0; i++) await sleep(5);
  assert.ok(changes > 0);
  stop();
  await sleep(10);
  const before = changes;
  write(2, 'y');
  await sleep(20);
  assert.equal(changes, before);
});

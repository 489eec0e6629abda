import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type LogFilter,
  logTime,
  toEntries,
  toRawChunks as toRawChunksInPlace,
} from '../../../server/task/log-record.ts';

/** Of a copy: the chunks lie where the records were. */
const toRawChunks = (bytes: Buffer, filter: LogFilter): ReturnType<typeof toRawChunksInPlace> =>
  toRawChunksInPlace(Buffer.from(bytes), filter);
const ALL: LogFilter = { stdout: true, stderr: true };
const time = (ns: number): string => `2026-11-22T03:13:00.${String(ns).padStart(9, '0')}Z`;
const log = (...lines: string[]): Buffer => Buffer.from(lines.map((line) => `${line}\n`).join(''));
const raw = (bytes: Buffer, filter: LogFilter = ALL): string[] =>
  toRawChunks(bytes, filter).chunks.map(({ stream, data }) => `${stream}:${data.toString()}`);

test('lines become output again, neighbours of one stream joined', () => {
  const bytes = log(
    `${time(1)} stdout F one`,
    `${time(2)} stdout P two `,
    `${time(2)} stdout F and more`,
    `${time(3)} stderr F oops`,
    `${time(4)} stdout P no end`,
  );
  assert.deepEqual(raw(bytes), ['stdout:one\ntwo and more\n', 'stderr:oops\n', 'stdout:no end']);
  assert.equal(toRawChunks(bytes, ALL).consumed, bytes.length);
});

test('text is bytes: anything but a newline', () => {
  const text = Buffer.from([0, 255, 13, 27, 0xc3, 0x28, 32]);
  const bytes = Buffer.concat([Buffer.from(`${time(1)} stdout F `), text, Buffer.from('\n')]);
  const [chunk] = toRawChunks(bytes, ALL).chunks;
  assert.deepEqual(chunk?.data, Buffer.concat([text, Buffer.from('\n')]));
  assert.deepEqual(toEntries(bytes, ALL).entries[0]?.line, text);
});

test('an empty line is a line', () => {
  const bytes = log(`${time(1)} stdout F `, `${time(2)} stdout P `, `${time(2)} stdout F `);
  assert.deepEqual(raw(bytes), ['stdout:\n\n']);
  assert.equal(toEntries(bytes, ALL).entries.length, 3);
});

test('entries have their time to the nanosecond', () => {
  const { entries } = toEntries(log(`${time(123_456_789)} stderr P part`, `${time(7)} stdout F `), ALL);
  const second = BigInt(Date.UTC(2026, 10, 22, 3, 13)) * 1_000_000n;
  assert.deepEqual(
    entries.map(({ stream, at, line, partial }) => [stream, at, line.toString(), partial]),
    [
      ['stderr', second + 123_456_789n, 'part', true],
      ['stdout', second + 7n, '', false],
    ],
  );
  for (const { at } of entries) assert.ok(logTime(at).startsWith('2026-11-22T03:13:00.'));
  assert.equal(logTime(second + 7n), time(7));
  assert.equal(logTime(0n), '1970-01-01T00:00:00.000000000Z');
});

test('streams and times choose', () => {
  const bytes = log(
    `${time(1)} stdout F a`,
    `${time(2)} stderr F b`,
    `${time(3)} stdout F c`,
    `${time(4)} stdout F d`,
  );
  assert.deepEqual(raw(bytes, { stdout: true, stderr: false }), ['stdout:a\nc\nd\n']);
  assert.deepEqual(raw(bytes, { stdout: false, stderr: true }), ['stderr:b\n']);
  assert.deepEqual(raw(bytes, { stdout: false, stderr: false }), []);
  // From a moment on, up to but without another.
  assert.deepEqual(raw(bytes, { ...ALL, since: time(2) }), ['stderr:b\n', 'stdout:c\nd\n']);
  assert.deepEqual(raw(bytes, { ...ALL, until: time(3) }), ['stdout:a\n', 'stderr:b\n']);
  assert.deepEqual(raw(bytes, { ...ALL, since: time(3), until: time(4) }), ['stdout:c\n']);
  assert.deepEqual(raw(bytes, { ...ALL, since: time(5) }), []);
});

test('a record that is not whole is left for later', () => {
  const bytes = log(`${time(1)} stdout F whole`, `${time(2)} stdout F cut off`);
  for (let cut = 0; cut < bytes.length; cut++) {
    const { chunks, consumed } = toRawChunks(bytes.subarray(0, cut), ALL);
    const first = bytes.indexOf(10) + 1;
    assert.equal(consumed, cut < first ? 0 : first);
    assert.equal(chunks.length, cut < first ? 0 : 1);
    assert.equal(toEntries(bytes.subarray(0, cut), ALL).entries.length, chunks.length);
  }
});

test('cut anywhere and read in pieces, nothing is lost and nothing comes twice', () => {
  const bytes = log(
    ...Array.from(
      { length: 50 },
      (_, i) => `${time(i)} ${i % 3 === 0 ? 'stderr' : 'stdout'} ${i % 4 === 0 ? 'P' : 'F'} ${'x'.repeat(i)}`,
    ),
  );
  const whole = Buffer.concat(toRawChunks(bytes, ALL).chunks.map(({ data }) => data)).toString();
  for (let step = 1; step < 200; step += 7) {
    let out = '';
    let from = 0;
    for (let to = step; from < bytes.length; to = Math.min(bytes.length, to + step)) {
      const { chunks, consumed } = toRawChunks(bytes.subarray(from, to), ALL);
      out += Buffer.concat(chunks.map(({ data }) => data)).toString();
      from += consumed;
    }
    assert.equal(out, whole);
  }
});

test('the remains of a write that found no room are passed over', () => {
  const bytes = log('2026-11-22T03:1', '', `${time(1)} stdout F after`, 'x'.repeat(39));
  assert.deepEqual(raw(bytes), ['stdout:after\n']);
  assert.equal(toEntries(bytes, ALL).entries.length, 1);
  assert.equal(toRawChunks(bytes, ALL).consumed, bytes.length);
});

test('a line of a megabyte is one piece of output', () => {
  const part = 'z'.repeat(65_000);
  const bytes = log(
    ...Array.from({ length: 16 }, () => `${time(1)} stdout P ${part}`),
    `${time(1)} stdout F `,
  );
  const { chunks } = toRawChunks(bytes, ALL);
  assert.equal(chunks.length, 1);
  assert.equal(chunks[0]?.data.length, 16 * 65_000 + 1);
});

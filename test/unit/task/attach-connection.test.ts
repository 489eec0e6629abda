/** A client's end of stdio, against a shim that is played by the test. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SOCKET_TYPE, socketPair } from '../../../native/socket.ts';
import { AttachConnection, type AttachOptions, readRaw } from '../../../server/task/attach-connection.ts';
import { logName } from '../../../server/task/log-file.ts';
import { FRAME_BYTES, type LogPosition, STREAM } from '../../../server/task/shim-protocol.ts';
import { socketOf } from '../../../server/task/shim-sockets.ts';

const root = mkdtempSync(join(tmpdir(), 'mydocker-attach-'));
after(() => rmSync(root, { recursive: true }));

let logsFolder: string;
let shim: Socket;
let ours: Socket;
beforeEach(() => {
  logsFolder = mkdtempSync(join(root, 'logs-'));
  const [a, b] = socketPair(SOCKET_TYPE.stream);
  ours = socketOf(a);
  shim = socketOf(b);
  shim.on('error', () => shim.destroy());
});
afterEach(() => {
  ours.destroy();
  shim.destroy();
});

const OPTIONS: AttachOptions = { stdin: true, stdout: true, stderr: true, stdinOnce: false };
const NOWHERE: LogPosition = { serial: 0, offset: 0 };
const at = (serial: number, offset: number): LogPosition => ({ serial, offset });

function frame(stream: number, data: string, from: LogPosition = NOWHERE, to: LogPosition = from): Buffer {
  const bytes = Buffer.alloc(FRAME_BYTES + Buffer.byteLength(data));
  bytes.writeUInt8(stream, 0);
  bytes.writeUInt32LE(Buffer.byteLength(data), 4);
  bytes.writeUInt32LE(from.serial, 8);
  bytes.writeUInt32LE(to.serial, 12);
  bytes.writeBigUInt64LE(BigInt(from.offset), 16);
  bytes.writeBigUInt64LE(BigInt(to.offset), 24);
  bytes.write(data, FRAME_BYTES);
  return bytes;
}

/** A log whose positions are known: each text is one record. @returns where each begins, and the end. */
function writeLog(serial: number, ...lines: (readonly ['stdout' | 'stderr', string])[]): LogPosition[] {
  let text = '';
  const places = lines.map(([stream, line]) => {
    const place = at(serial, text.length);
    const tag = line.endsWith('\n') ? 'F' : 'P';
    text += `2026-11-22T03:13:00.000000000Z ${stream} ${tag} ${line.replace(/\n$/, '')}\n`;
    return place;
  });
  writeFileSync(join(logsFolder, logName(serial)), text);
  return [...places, at(serial, text.length)];
}

async function outputOf(connection: AttachConnection): Promise<string[]> {
  const parts: string[] = [];
  for await (const { stream, data } of connection.output()) {
    const last = parts.at(-1);
    if (last?.startsWith(`${stream}:`)) parts[parts.length - 1] = last + data.toString();
    else parts.push(`${stream}:${data.toString()}`);
  }
  return parts;
}

test('a client says first what it wants', async () => {
  const flags: [Partial<AttachOptions>, number][] = [
    [{}, 7],
    [{ stdin: false }, 3],
    [{ stdout: false, stderr: false, stdinOnce: true }, 12],
  ];
  for (const [options, flag] of flags) {
    const [a, b] = socketPair(SOCKET_TYPE.stream);
    const other = socketOf(b);
    const connection = new AttachConnection(socketOf(a), { ...OPTIONS, ...options });
    const hello = await new Promise<Buffer>((resolve) => other.once('data', resolve));
    assert.deepEqual([hello.length, hello[0], hello[1]], [FRAME_BYTES, STREAM.hello, flag]);
    connection.close();
    other.destroy();
  }
});

test('frames that come in any pieces are the same output', async () => {
  const bytes = Buffer.concat([
    frame(STREAM.hello, ''),
    frame(STREAM.stdout, 'one\n'),
    frame(STREAM.stderr, ''),
    frame(STREAM.stderr, 'two'),
    frame(STREAM.stdout, 'x'.repeat(100)),
    frame(STREAM.end, ''),
  ]);
  for (const size of [1, 2, 3, 31, 32, 33, 36, 70, bytes.length]) {
    const [a, b] = socketPair(SOCKET_TYPE.stream);
    const other = socketOf(b);
    other.resume();
    const output = outputOf(new AttachConnection(socketOf(a), OPTIONS));
    for (let from = 0; from < bytes.length; from += size) {
      other.write(bytes.subarray(from, from + size));
      if (size < 40) await sleep(0);
    }
    other.end();
    assert.deepEqual(await output, ['stdout:one\n', 'stderr:two', `stdout:${'x'.repeat(100)}`], `${size}`);
  }
});

test('a hole between frames is read from the log', async () => {
  const [a, b, c, d, end] = writeLog(
    1,
    ['stdout', 'a\n'],
    ['stderr', 'b\n'],
    ['stdout', 'c\n'],
    ['stdout', 'd'],
  );
  const output = outputOf(new AttachConnection(ours, { ...OPTIONS, logsFolder }));
  shim.write(frame(STREAM.hello, '', a));
  shim.write(frame(STREAM.stdout, 'a\n', a, b));
  // The frame of b was left out for a slow reader; so was that of c.
  shim.write(frame(STREAM.stdout, 'd', d, end));
  shim.end(frame(STREAM.end, '', end));
  assert.ok(c !== undefined);
  assert.deepEqual(await output, ['stdout:a\n', 'stderr:b\n', 'stdout:c\nd']);
});

test('a hole over several files is read from all of them, and only what is wanted', async () => {
  const [start] = writeLog(1, ['stdout', 'a\n'], ['stderr', 'no\n']);
  writeLog(2, ['stdout', 'b\n']);
  const [, last, end] = writeLog(3, ['stderr', 'no\n'], ['stdout', 'c\n']);
  const output = outputOf(new AttachConnection(ours, { ...OPTIONS, stderr: false, logsFolder }));
  shim.write(frame(STREAM.hello, '', start));
  shim.write(frame(STREAM.stdout, 'c\n', last, end));
  shim.end(frame(STREAM.end, '', end));
  assert.deepEqual(await output, ['stdout:a\nb\nc\n']);
});

test('output before the client came is given only when asked for', async () => {
  const [start, , end] = writeLog(1, ['stdout', 'old\n'], ['stdout', 'older\n']);
  const without = outputOf(new AttachConnection(ours, { ...OPTIONS, logsFolder }));
  shim.write(frame(STREAM.hello, '', end));
  shim.end(frame(STREAM.end, '', end));
  assert.deepEqual(await without, []);
  const [a, b] = socketPair(SOCKET_TYPE.stream);
  const other = socketOf(b);
  const replay = { ...OPTIONS, logsFolder, replayFrom: start ?? NOWHERE };
  const output = outputOf(new AttachConnection(socketOf(a), replay));
  other.resume();
  other.write(frame(STREAM.hello, '', end));
  other.end(frame(STREAM.end, '', end));
  assert.deepEqual(await output, ['stdout:old\nolder\n']);
});

test('when a shim leaves in the middle of a word the log has the rest', async () => {
  const [a, b, c, end] = writeLog(1, ['stdout', 'first\n'], ['stdout', 'second\n'], ['stderr', 'third\n']);
  const cut = frame(STREAM.stdout, 'second\n', b, c);
  assert.ok(end !== undefined);
  for (const length of [0, 1, FRAME_BYTES, FRAME_BYTES + 1, cut.length - 1, cut.length]) {
    const [mine, theirs] = socketPair(SOCKET_TYPE.stream);
    const other = socketOf(theirs);
    other.resume();
    const output = outputOf(new AttachConnection(socketOf(mine), { ...OPTIONS, logsFolder }));
    other.write(frame(STREAM.hello, '', a));
    other.write(frame(STREAM.stdout, 'first\n', a, b));
    other.end(cut.subarray(0, length));
    assert.deepEqual(await output, ['stdout:first\nsecond\n', 'stderr:third\n'], `cut after ${length}`);
  }
});

test('a connection that was reset has its rest in the log too', async () => {
  const [a, , end] = writeLog(1, ['stdout', 'first\n'], ['stdout', 'second\n']);
  const connection = new AttachConnection(ours, { ...OPTIONS, logsFolder });
  const output = outputOf(connection);
  shim.write(frame(STREAM.hello, '', a));
  await sleep(20);
  // With something unread of ours: the reading end breaks.
  await connection.write(Buffer.alloc(100));
  shim.destroy();
  assert.ok(end !== undefined);
  assert.deepEqual(await output, ['stdout:first\nsecond\n']);
});

test('without a log there is nothing but what came', async () => {
  const output = outputOf(new AttachConnection(ours, OPTIONS));
  shim.write(frame(STREAM.hello, ''));
  shim.write(frame(STREAM.stdout, 'all'));
  shim.end(frame(STREAM.stdout, 'cut').subarray(0, FRAME_BYTES + 1));
  assert.deepEqual(await output, ['stdout:allc']);
});

test('a client that leaves gets nothing more', async () => {
  const [a, end] = writeLog(1, ['stdout', 'rest\n']);
  assert.ok(end !== undefined);
  const connection = new AttachConnection(ours, { ...OPTIONS, logsFolder });
  shim.write(frame(STREAM.hello, '', a));
  const output = outputOf(connection);
  await sleep(20);
  connection.close();
  assert.deepEqual(await output, []);
  await connection.write(Buffer.from('x'));
  connection.closeStdin();
});

test('input waits for a reader, and listens to nothing afterwards', async () => {
  const connection = new AttachConnection(ours, OPTIONS);
  const counts = (): number[] => ['drain', 'close', 'error'].map((event) => ours.listenerCount(event));
  const before = counts();
  let read = 0;
  let slow = true;
  shim.on('data', (chunk: Buffer) => {
    read += chunk.length;
    if (slow) {
      shim.pause();
      setTimeout(() => shim.resume(), 1);
    }
  });
  const chunk = Buffer.alloc(100_000);
  for (let i = 0; i < 50; i++) await connection.write(chunk);
  assert.deepEqual(counts(), before);
  slow = false;
  const wanted = FRAME_BYTES + 50 * (FRAME_BYTES + chunk.length);
  for (let i = 0; i < 500 && read < wanted; i++) await sleep(5);
  assert.equal(read, wanted);
  connection.closeStdin();
  await connection.write(new Uint8Array(0));
  for (let i = 0; i < 500 && read < wanted + FRAME_BYTES; i++) await sleep(5);
  assert.equal(read, wanted + FRAME_BYTES);
});

test('input to a shim that is gone is thrown away', async () => {
  const connection = new AttachConnection(ours, OPTIONS);
  const output = outputOf(connection);
  shim.destroy();
  for (let i = 0; i < 10; i++) await connection.write(Buffer.alloc(100_000));
  assert.deepEqual(await output, []);
});

test('a part of a log ends where it is told, whatever its records are', async () => {
  const [a, b, c, end] = writeLog(1, ['stdout', 'one\n'], ['stderr', 'two\n'], ['stdout', 'three']);
  const read = async (from: LogPosition, to: LogPosition): Promise<string> => {
    let text = '';
    for await (const { data } of readRaw(logsFolder, from, to, { stdout: true, stderr: true }))
      text += data.toString();
    return text;
  };
  assert.ok(a && b && c && end);
  assert.equal(await read(a, end), 'one\ntwo\nthree');
  assert.equal(await read(a, c), 'one\ntwo\n');
  assert.equal(await read(b, b), '');
  assert.equal(await read(end, a), '');
});

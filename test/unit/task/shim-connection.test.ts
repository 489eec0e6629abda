/** The server's end of a conversation with a shim that is played by the test. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SOCKET_TYPE, socketPair } from '../../../native/socket.ts';
import { ShimConnection } from '../../../server/task/shim-connection.ts';
import { LaunchFailure, ShimGone } from '../../../server/task/shim-error.ts';
import {
  encodeMessage,
  FOUND_BYTES,
  FOUND_FLAG,
  MESSAGE_BYTES,
  NOTICE,
  REQUEST,
} from '../../../server/task/shim-protocol.ts';
import { socketOf } from '../../../server/task/shim-sockets.ts';

let connection: ShimConnection;
let shim: Socket;
beforeEach(() => {
  const [ours, theirs] = socketPair(SOCKET_TYPE.stream);
  connection = new ShimConnection(socketOf(ours), false, ours);
  shim = socketOf(theirs);
  shim.on('error', () => shim.destroy());
});
afterEach(() => {
  connection.close();
  shim.destroy();
});

function notice(
  type: number,
  fields: { seq?: number; a?: number; b?: number; x?: bigint; y?: bigint } = {},
): Buffer {
  const bytes = encodeMessage(type, fields.seq ?? 0, fields.a ?? 0, fields.b ?? 0);
  bytes.writeBigUInt64LE(fields.x ?? 0n, 16);
  bytes.writeBigUInt64LE(fields.y ?? 0n, 24);
  return bytes;
}

const requests = (): Promise<Buffer> => new Promise((resolve) => shim.once('data', resolve));

test('the life of a run is told in order', async () => {
  shim.write(notice(NOTICE.created, { a: 11, b: 10, x: 500n, y: 400n }));
  assert.deepEqual(await connection.created, {
    pid: 11,
    shimPid: 10,
    pidStartTime: 500n,
    shimStartTime: 400n,
  });
  shim.write(notice(NOTICE.started, { a: 11 }));
  await connection.started;
  shim.write(notice(NOTICE.exited, { a: 137, b: 9, x: 1_795_328_817_949_727_208n, y: 1n }));
  assert.deepEqual(await connection.exited, {
    exitStatus: 137,
    signal: 9,
    exitedAt: 1_795_328_817_949_727_208n,
    recorded: true,
  });
});

test('records that come in any pieces are understood', async () => {
  const bytes = Buffer.concat([
    notice(NOTICE.created, { a: 1, b: 2 }),
    notice(200),
    notice(NOTICE.started),
    notice(NOTICE.exited, { a: 5 }),
  ]);
  for (const byte of bytes) {
    shim.write(Buffer.from([byte]));
    await sleep(0);
  }
  assert.equal((await connection.exited).exitStatus, 5);
  assert.equal((await connection.exited).recorded, false);
});

test('a process that ended so fast that nobody saw it start has started', async () => {
  shim.write(notice(NOTICE.exited, { a: 0 }));
  await connection.started;
});

test('a failure is everything that will come', async () => {
  shim.write(notice(NOTICE.failed, { a: 2, b: 17, x: 13n }));
  for (const promise of [connection.created, connection.started, connection.exited])
    await assert.rejects(promise, (error: LaunchFailure) => {
      assert.ok(error instanceof LaunchFailure);
      assert.deepEqual([error.section, error.index, error.errno], [2, 17, 'EACCES']);
      return true;
    });
});

test('what follows a failure is read with it, however it is cut', async () => {
  const found = Buffer.concat([Buffer.alloc(FOUND_BYTES), Buffer.from('#!/x')]);
  found.writeUInt32LE(FOUND_FLAG.looked | FOUND_FLAG.read, 16);
  const whole = Buffer.concat([notice(NOTICE.failed, { a: 2, b: 1, x: 2n, y: BigInt(found.length) }), found]);
  for (const byte of whole) {
    shim.write(Buffer.from([byte]));
    await sleep(0);
  }
  await assert.rejects(connection.started, (error: LaunchFailure) => {
    assert.equal(error.found?.head?.toString(), '#!/x');
    assert.equal(error.found?.path, 0);
    return true;
  });
});

test('the end of a connection without a word is told as such', async () => {
  shim.end();
  await assert.rejects(connection.exited, (error: ShimGone) => error instanceof ShimGone && !error.wanted);
  await assert.rejects(connection.request(REQUEST.status), { reason: 'SHIM_GONE' });
});

test('the last words of a shim are heard, although it is spoken to when it is gone', async () => {
  // It said why it failed and left, before the commit came.
  shim.write(notice(NOTICE.failed, { a: 0, b: 3, x: 2n }));
  await new Promise<void>((resolve) => shim.end(() => resolve()));
  shim.destroy();
  connection.commit(true);
  connection.commit(true);
  const request = connection.request(REQUEST.status);
  await assert.rejects(connection.exited, { section: 0, index: 3, errno: 'ENOENT' });
  await assert.rejects(request, { reason: 'SHIM_GONE' });
});

test('requests are answered by number, in any order', async () => {
  const both = [connection.request(REQUEST.status), connection.request(REQUEST.resize, 24, 80)];
  let bytes = Buffer.alloc(0);
  while (bytes.length < 2 * MESSAGE_BYTES) bytes = Buffer.concat([bytes, await requests()]);
  assert.deepEqual(
    [bytes.readUInt16LE(0), bytes.readUInt16LE(32), bytes.readInt32LE(40), bytes.readInt32LE(44)],
    [REQUEST.status, REQUEST.resize, 24, 80],
  );
  shim.write(notice(NOTICE.reply, { seq: bytes.readUInt32LE(36), a: 25 }));
  shim.write(notice(NOTICE.reply, { seq: 9999 }));
  shim.write(notice(NOTICE.reply, { seq: bytes.readUInt32LE(4) }));
  const [first, second] = await Promise.allSettled(both);
  assert.equal(first?.status, 'fulfilled');
  assert.ok(second?.status === 'rejected');
  assert.equal(second.reason.reason, 'ENOTTY');
});

test('a shim that does not answer is not waited for for ever', async () => {
  const before = Date.now();
  await assert.rejects(connection.request(REQUEST.status, 0, 0, 50), {
    code: 'deadline-exceeded',
    reason: 'SHIM_NOT_RESPONDING',
  });
  assert.ok(Date.now() - before < 1000);
  // A late answer is nobody's.
  shim.write(notice(NOTICE.reply, { seq: 1 }));
  const again = connection.request(REQUEST.status);
  shim.write(notice(NOTICE.reply, { seq: 2 }));
  await again;
});

test('a commit says whether the gate may open', async () => {
  connection.commit(true);
  const bytes = await requests();
  assert.deepEqual(
    [bytes.length, bytes.readUInt16LE(0), bytes.readInt32LE(8)],
    [MESSAGE_BYTES, REQUEST.commit, 1],
  );
});

test('before the commit a launch is given up by leaving, afterwards by a kill', async () => {
  let ended = false;
  shim.on('end', () => {
    ended = true;
  });
  shim.resume();
  await connection.giveUp();
  assert.ok(ended);
  await assert.rejects(connection.exited, (error: ShimGone) => error instanceof ShimGone && error.wanted);

  const [ours, theirs] = socketPair(SOCKET_TYPE.stream);
  const committed = new ShimConnection(socketOf(ours), true, ours);
  const other = socketOf(theirs);
  const bytes = new Promise<Buffer>((resolve) => other.once('data', resolve));
  const done = committed.giveUp();
  assert.deepEqual([(await bytes).readUInt16LE(0), (await bytes).readInt32LE(8)], [REQUEST.signal, 9]);
  other.write(notice(NOTICE.reply, { seq: 1 }));
  other.write(notice(NOTICE.exited, { a: 137, b: 9 }));
  await done;
  assert.equal((await committed.exited).signal, 9);
  committed.close();
  other.destroy();
});

test('one that gives no answer counts as gone, and is told when it really is', async () => {
  shim.resume();
  connection.commit(true);
  let closed = false;
  void connection.closed.then(() => {
    closed = true;
  });
  await connection.giveUp();
  assert.ok(connection.silent);
  await assert.rejects(connection.created, ShimGone);
  assert.ok(!closed);
  shim.destroy();
  await connection.closed;
});

test('one that is ending already is waited for', async () => {
  connection.commit(true);
  const done = connection.giveUp();
  shim.write(notice(NOTICE.reply, { seq: 1, a: 3 }));
  await sleep(50);
  shim.write(notice(NOTICE.exited, { a: 7, y: 1n }));
  await done;
  assert.equal((await connection.exited).exitStatus, 7);
});

test('what was given up is not committed any more', async () => {
  const said: Buffer[] = [];
  shim.on('data', (bytes: Buffer) => said.push(bytes));
  const done = connection.giveUp();
  connection.commit(true);
  await done;
  assert.deepEqual(said, []);
});

test('what comes after the end of a run changes nothing', async () => {
  shim.write(notice(NOTICE.exited, { a: 3 }));
  shim.write(notice(NOTICE.exited, { a: 4 }));
  shim.write(notice(NOTICE.failed, { a: 1, b: 1, x: 1n }));
  shim.end();
  await sleep(20);
  assert.equal((await connection.exited).exitStatus, 3);
});

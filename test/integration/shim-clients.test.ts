/**
 * Clients of a shim do everything wrong: half records, junk, too many connections, death in the middle of a
 * word. The container, its log and everybody else's connection must not notice.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pidfdOpen } from '../../native/pidfd.ts';
import { SOCKET_TYPE, socketPair } from '../../native/socket.ts';
import { encodePlan } from '../../server/spec/plan-codec.ts';
import {
  ATTACH_FLAG,
  decodeFrame,
  encodeFrame,
  encodeMessage,
  FRAME_BYTES,
  NOTICE,
  REQUEST,
  STREAM,
} from '../../server/task/shim-protocol.ts';
import { connectInFolder, socketOf } from '../../server/task/shim-sockets.ts';
import { collect, type Launched, ShimGround, until } from './shim-ground.ts';
import { RawConnection } from './shim-raw.ts';

const SIGKILL = 9;
/** As in shim.h and hold.h; one control connection is the launch's own. */
const CLIENTS_MAX = 24;
const CONTROLS_MAX = 8;

let ground: ShimGround;
let container: Launched;
before(async () => {
  ground = await ShimGround.make();
});
beforeEach(async () => {
  const script = 'while read line; do echo "got $line"; done';
  container = ground.start({ config: { args: ['sh', '-c', script], openStdin: true } });
  await container.connection.started;
});
/** Whatever a test did: the container answers, reads, writes, logs and ends. */
afterEach(async () => {
  await container.connection.request(REQUEST.status);
  const client = await ground.attach(container, { stdin: true });
  await client.write(Buffer.from('\nstill here\n'));
  const log = join(container.logsFolder, '00000001.log');
  await until(() => readFileSync(log, 'utf8').includes('stdout F got still here\n'), 'it does not answer');
  client.close();
  await container.connection.request(REQUEST.signal, SIGKILL);
  assert.equal((await container.connection.exited).exitStatus, 137);
  container.connection.close();
  ground.removeRuns();
  await ground.assertNothingLeft();
});
after(() => ground.dispose());

const connect = (name: 'attach' | 'control'): Promise<Socket> => connectInFolder(container.runFolder, name);

/** Whether the other end is closed, within a moment. */
async function isClosed(socket: Socket): Promise<boolean> {
  socket.resume();
  socket.on('error', () => socket.destroy());
  const closed = new Promise<boolean>((resolve) => socket.once('close', () => resolve(true)));
  return socket.destroyed || (await Promise.race([closed, sleep(500, false)]));
}

const hello = (flags: number): Buffer => encodeFrame(STREAM.hello, 0, flags);
const ALL = ATTACH_FLAG.stdout | ATTACH_FLAG.stderr | ATTACH_FLAG.stdin;

const bad: readonly (readonly [what: string, bytes: Buffer])[] = [
  ['input before the greeting', encodeFrame(STREAM.stdin, 4)],
  ['a second greeting', Buffer.concat([hello(ALL), hello(ALL)])],
  [
    'input without having asked to write',
    Buffer.concat([hello(ATTACH_FLAG.stdout), encodeFrame(STREAM.stdin, 1)]),
  ],
  ['an unknown stream', Buffer.concat([hello(ALL), encodeFrame(200, 4)])],
  ['output', Buffer.concat([hello(ALL), encodeFrame(STREAM.stdout, 4)])],
  ['an end', Buffer.concat([hello(ALL), encodeFrame(STREAM.end, 0)])],
  ['junk', randomFillSync(Buffer.alloc(4096)).fill(0xfe, 0, 1)],
];
for (const [what, bytes] of bad) {
  test(`a client that sends ${what} is dropped`, async () => {
    const socket = await connect('attach');
    socket.write(bytes);
    assert.ok(await isClosed(socket));
  });
}

test('a client may die in the middle of a frame', async () => {
  const whole = Buffer.concat([hello(ALL), encodeFrame(STREAM.stdin, 1000), Buffer.from('half a line')]);
  for (const length of [1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 2 * FRAME_BYTES, whole.length]) {
    const socket = await connect('attach');
    await new Promise((resolve) => socket.write(whole.subarray(0, length), resolve));
    socket.destroy();
  }
});

test('a client may say everything byte by byte', async () => {
  const socket = await connect('attach');
  const bytes = Buffer.concat([hello(ALL), encodeFrame(STREAM.stdin, 5), Buffer.from('word\n')]);
  for (const byte of bytes) {
    socket.write(Buffer.from([byte]));
    await sleep(1);
  }
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await until(() => Buffer.concat(chunks).includes('got word\n'), 'no echo');
  const output = Buffer.concat(chunks);
  assert.equal(decodeFrame(output, 0).stream, STREAM.hello);
  assert.deepEqual(
    [decodeFrame(output, FRAME_BYTES).stream, decodeFrame(output, FRAME_BYTES).length],
    [STREAM.stdout, 9],
  );
  socket.destroy();
});

test('more clients than there is room for are turned away, and room comes back', async () => {
  const sockets: Socket[] = [];
  for (let i = 0; i < CLIENTS_MAX; i++) sockets.push(await connect('attach'));
  for (const socket of sockets) socket.write(hello(ALL));
  const late = [await connect('attach'), await connect('attach')];
  for (const socket of late) assert.ok(await isClosed(socket));
  for (const socket of sockets) assert.ok(!socket.destroyed);
  for (const socket of sockets) socket.destroy();
  await until(() => sockets.every((socket) => socket.closed), 'sockets stay open');
  const next = await connect('attach');
  next.write(hello(ALL));
  await new Promise((resolve) => next.once('data', resolve));
  next.destroy();
});

test('clients that never read keep nobody from reading', async () => {
  const deaf = await Promise.all([1, 2, 3].map(() => connect('attach')));
  for (const socket of deaf) socket.write(hello(ALL));
  const reader = await ground.attach(container, { stdin: true });
  const output = collect(reader.output());
  const line = `${'x'.repeat(999)}\n`;
  for (let i = 0; i < 500; i++) await reader.write(Buffer.from(line));
  const log = join(container.logsFolder, '00000001.log');
  const logged = (): number => readFileSync(log, 'latin1').split('\n').length - 1;
  await until(() => logged() >= 500, 'the log stands still');
  reader.close();
  await output;
  for (const socket of deaf) socket.destroy();
});

test('a control connection that speaks another version is closed', async () => {
  for (const version of [0, 2, 0xffff]) {
    const socket = await connect('control');
    const bytes = encodeMessage(REQUEST.status, 1);
    bytes.writeUInt16LE(version, 2);
    socket.write(bytes);
    assert.ok(await isClosed(socket));
  }
});

test('unknown requests are refused and nothing else', async () => {
  const control = new RawConnection(await connect('control'));
  for (const type of [0, 9, 63, 64, 65, 69, 0xffff]) {
    control.send(type, 1, 2, 7);
    const { seq, a } = await control.next(NOTICE.reply);
    assert.deepEqual([type, seq, a], [type, 7, 95]);
  }
  control.send(REQUEST.signal, 1000, 0, 8);
  assert.equal((await control.next(NOTICE.reply)).a, 22);
  control.close();
});

test('half a request holds up nobody else, and may be completed later', async () => {
  const slow = new RawConnection(await connect('control'));
  const bytes = encodeMessage(REQUEST.status, 3);
  slow.socket.write(bytes.subarray(0, 10));
  await sleep(20);
  await container.connection.request(REQUEST.status);
  slow.socket.write(bytes.subarray(10));
  assert.equal((await slow.next(NOTICE.reply)).seq, 3);
  slow.socket.write(bytes.subarray(0, 31));
  slow.close();
});

test('more control connections than there is room for are turned away', async () => {
  const controls: RawConnection[] = [];
  for (let i = 1; i < CONTROLS_MAX; i++) {
    const control = new RawConnection(await connect('control'));
    await control.next(NOTICE.created);
    controls.push(control);
  }
  assert.ok(await isClosed(await connect('control')));
  for (const control of controls) control.close();
  await sleep(20);
  const again = new RawConnection(await connect('control'));
  await again.next(NOTICE.created);
  again.close();
});

test('requests in one packet are answered one by one', async () => {
  const control = new RawConnection(await connect('control'));
  const requests = Array.from({ length: 100 }, (_, i) => encodeMessage(REQUEST.status, i + 1));
  control.socket.write(Buffer.concat(requests));
  for (let i = 1; i <= 100; i++) assert.equal((await control.next(NOTICE.reply)).seq, i);
  control.close();
});

test('a client that greets late loses nothing of an additional process', async () => {
  const { plan } = ground.prepareExec(container, { args: ['sh', '-c', 'echo early; exit 4'] });
  const pidfd = pidfdOpen((await container.connection.created).pid);
  const [ours, theirs] = socketPair(SOCKET_TYPE.stream);
  const connection = ground.zygote.launch(encodePlan(plan), [pidfd, theirs]);
  closeSync(pidfd);
  closeSync(theirs);
  connection.commit(true);
  assert.equal((await connection.exited).exitStatus, 4);
  await sleep(50);
  const socket = socketOf(ours);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(hello(ALL));
  await new Promise((resolve) => socket.once('close', resolve));
  assert.ok(Buffer.concat(chunks).includes('early\n'), 'its output is lost');
  assert.equal(decodeFrame(Buffer.concat(chunks).subarray(-FRAME_BYTES), 0).stream, STREAM.end);
  connection.close();
});

test('a client of an additional process may leave at any time', async () => {
  for (const args of [['cat', '/bin/busybox'], ['sleep', '1000'], ['cat']]) {
    const { connection, stdio } = await ground.exec(container, { args, openStdin: true });
    await connection.started;
    stdio.close();
    await connection.request(REQUEST.signal, SIGKILL).catch(() => undefined);
    await connection.exited;
    connection.close();
  }
});

test('only the user that runs the server may talk to a shim', async () => {
  const script = `
    const { connect } = require('node:net');
    process.chdir(${JSON.stringify(container.runFolder)});
    process.setgid(65534); process.setuid(65534);
    for (const name of ['attach', 'control']) {
      const socket = connect(name);
      socket.on('error', (error) => console.log(name, error.code));
      socket.on('data', () => console.log(name, 'data'));
      socket.on('close', () => console.log(name, 'closed'));
      socket.on('connect', () => socket.write(Buffer.alloc(32, 3)));
    }`;
  const output = execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  assert.ok(!output.includes('data'), output);
  assert.match(output, /EACCES|closed/);
});

test('the start of an additional process is told, however the kernel orders what happens then', async () => {
  for (let i = 0; i < 5; i++) {
    const runs = await Promise.all(
      Array.from({ length: 10 }, () => ground.exec(container, { args: ['sleep', '1000'] })),
    );
    for (const { connection } of runs) await connection.started;
    for (const { connection, stdio } of runs) {
      await connection.request(REQUEST.signal, SIGKILL);
      await connection.exited;
      connection.close();
      stdio.close();
    }
  }
});

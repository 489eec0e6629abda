/** The socket: whose it is, what it replaces, where it may be. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { listenUnix, socketPath } from '../../../server/grpc/listen.ts';

function place(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'mydocker-listen-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const hangUp = (socket: Socket): void => void socket.destroy();

function reaches(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve('connected');
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
}

test('a socket has mode 0660, accepts, and goes when it is closed', async (t) => {
  const folder = place(t);
  const path = join(folder, 's.sock');
  const listener = await listenUnix(`unix://${path}`, undefined, hangUp);
  assert.equal(statSync(path).mode & 0o7777, 0o660);
  assert.deepEqual(readdirSync(folder), ['s.sock']);
  assert.equal(await reaches(path), 'connected');
  listener.close();
  assert.deepEqual(readdirSync(folder), []);
});

test('what a dead server left is replaced, what a live one uses is not', async (t) => {
  const path = join(place(t), 's.sock');
  const dead = createServer().listen(path);
  await new Promise((resolve) => dead.once('listening', resolve));
  await assert.rejects(listenUnix(`unix://${path}`, undefined, hangUp), {
    reason: 'LISTEN_FAILED',
    message: `cannot listen on unix://${path}: another server answers there`,
  });
  // Closing would remove it; a server that is killed does not close.
  const other = `${path}.kept`;
  linkSync(path, other);
  await new Promise((resolve) => dead.close(resolve));
  renameSync(other, path);
  assert.equal(await reaches(path), 'ECONNREFUSED');
  const listener = await listenUnix(`unix://${path}`, undefined, hangUp);
  assert.equal(await reaches(path), 'connected');
  listener.close();
});

test('something else in its place is left alone', async (t) => {
  const folder = place(t);
  writeFileSync(join(folder, 'file'), 'x');
  symlinkSync('file', join(folder, 'link'));
  for (const name of ['file', 'link'])
    await assert.rejects(listenUnix(`unix://${folder}/${name}`, undefined, hangUp), /no socket is there/);
  assert.ok(lstatSync(join(folder, 'link')).isSymbolicLink());
  await assert.rejects(listenUnix(`unix://${folder}/none/s`, undefined, hangUp), /its folder: ENOENT/);
  await assert.rejects(listenUnix(`unix://${folder}/file/s`, undefined, hangUp), /its folder: ENOTDIR/);
});

test('a closed listener leaves a socket that is not its own', async (t) => {
  const path = join(place(t), 's.sock');
  const first = await listenUnix(`unix://${path}`, undefined, hangUp);
  rmSync(path);
  const second = await listenUnix(`unix://${path}`, undefined, hangUp);
  first.close();
  assert.ok(existsSync(path));
  second.close();
});

test('a path of 200 characters and more is served', async (t) => {
  const folder = join(place(t), ...Array.from({ length: 4 }, () => 'd'.repeat(60)));
  mkdirSync(folder, { recursive: true });
  assert.ok(folder.length > 240);
  const listener = await listenUnix(`unix://${folder}/mydocker.sock`, undefined, hangUp);
  assert.equal(statSync(`${folder}/mydocker.sock`).mode & 0o777, 0o660);
  chmodSync(folder, 0o700);
  process.chdir(folder);
  assert.equal(await reaches('mydocker.sock'), 'connected');
  process.chdir('/');
  listener.close();
});

test('addresses that are none are refused in words', () => {
  assert.equal(socketPath('unix:///run/x.sock'), '/run/x.sock');
  assert.equal(socketPath('unix:/run/x.sock'), '/run/x.sock');
  for (const address of ['', 'x', 'unix:', 'unix://', 'unix://x', 'unix:///x/', 'unix:///a\0b', 'http://x'])
    assert.throws(() => socketPath(address), { reason: 'ADDRESS_INVALID' }, address);
  assert.throws(() => socketPath('tcp://127.0.0.1:1'), { code: 'unimplemented' });
});

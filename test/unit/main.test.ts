/** mydockerd as a process: what it says, whom it refuses, how it ends. Nothing runs in it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Api, openApi } from '../harness/api.ts';
import { PROJECT, SLOWNESS } from '../harness/cli.ts';

const READY_MS = 20_000 * SLOWNESS;

function place(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'mydocker-main-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

interface Started {
  readonly process: ChildProcess;
  /** Everything it has written. */
  readonly text: () => string;
  /** Code and signal it ended with. */
  readonly ended: Promise<[number | null, string | null]>;
  /** Resolves when it listens or has ended. */
  readonly ready: Promise<void>;
}

function start(t: TestContext, args: readonly string[], env: Readonly<Record<string, string>> = {}): Started {
  const process_ = spawn(join(PROJECT, 'bin/mydockerd'), args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => process_.kill('SIGKILL'));
  let text = '';
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  const add = (part: Buffer): void => {
    text += part.toString();
    if (text.includes('"msg":"listening"')) resolve();
  };
  process_.stdout.on('data', add);
  process_.stderr.on('data', add);
  const ended = new Promise<[number | null, string | null]>((done) => {
    process_.once('close', (code, signal) => {
      resolve();
      done([code, signal]);
    });
  });
  const late = setTimeout(resolve, READY_MS);
  ready.then(() => clearTimeout(late));
  return { process: process_, text: () => text, ended, ready };
}

const places = (folder: string, name: string): string[] => [
  '--root',
  join(folder, name),
  '--state',
  join(folder, `${name}-s`),
];

async function ping(api: Api): Promise<void> {
  const payload = Buffer.from('x');
  assert.deepEqual(
    Buffer.from((await api.system.ping({ payload }, { deadline: Date.now() + 5000 })).payload),
    payload,
  );
}

test('a server listens, says so in one line, and ends in order on SIGTERM', async (t) => {
  const folder = place(t);
  const server = start(t, places(folder, 'r'));
  await server.ready;
  const [line = ''] = server.text().trim().split('\n');
  const said = JSON.parse(line) as Record<string, unknown>;
  assert.equal(said['msg'], 'listening');
  assert.equal(server.text().trim().split('\n').length, 1);
  const socket = join(folder, 'r-s', 'mydocker.sock');
  assert.equal(statSync(socket).mode & 0o777, 0o660);
  const api = openApi(`unix://${socket}`);
  await ping(api);
  api.close();
  server.process.kill('SIGTERM');
  assert.deepEqual(await server.ended, [0, null]);
  assert.ok(!existsSync(socket));
});

test('a second server on the root is refused; the first does not notice', async (t) => {
  const folder = place(t);
  const first = start(t, places(folder, 'r'));
  await first.ready;
  const second = start(t, ['--root', join(folder, 'r'), '--state', join(folder, 'other')]);
  assert.deepEqual(await second.ended, [1, null]);
  assert.match(second.text(), /^mydockerd: cannot open metadata: another server uses this root/m);
  assert.match(second.text(), /hint: stop the other mydockerd/);
  assert.ok(second.text().includes(join(folder, 'r')), second.text());
  const api = openApi(`unix://${join(folder, 'r-s', 'mydocker.sock')}`);
  await ping(api);
  api.close();
});

test('servers with different roots live side by side, but not on one socket', async (t) => {
  const folder = place(t);
  const [one, two] = [start(t, places(folder, 'a')), start(t, places(folder, 'b'))];
  await Promise.all([one.ready, two.ready]);
  const instances: (string | undefined)[] = [];
  for (const name of ['a', 'b']) {
    const api = openApi(`unix://${join(folder, `${name}-s`, 'mydocker.sock')}`);
    instances.push((await api.system.getInfo({})).server?.instance);
    api.close();
  }
  assert.notEqual(instances[0], instances[1]);
  const taken = `unix://${join(folder, 'a-s', 'mydocker.sock')}`;
  const third = start(t, [...places(folder, 'c'), '--listen', taken]);
  assert.deepEqual(await third.ended, [1, null]);
  assert.match(third.text(), /another server answers there/);
  const fourth = start(t, ['--root', join(folder, 'd'), '--state', join(folder, 'a-s')]);
  assert.deepEqual(await fourth.ended, [1, null]);
  assert.match(fourth.text(), /it is the state of another server/);
});

test('a server that was killed is followed by another one on the same folders', async (t) => {
  const folder = place(t);
  const first = start(t, places(folder, 'r'));
  await first.ready;
  first.process.kill('SIGKILL');
  await first.ended;
  const socket = join(folder, 'r-s', 'mydocker.sock');
  assert.ok(existsSync(socket));
  const second = start(t, [
    ...places(folder, 'r'),
    '--listen',
    `unix://${socket}`,
    '--listen',
    `unix://${folder}/more.sock`,
  ]);
  await second.ready;
  for (const path of [socket, `${folder}/more.sock`]) {
    const api = openApi(`unix://${path}`);
    await ping(api);
    api.close();
  }
  second.process.kill('SIGINT');
  assert.deepEqual(await second.ended, [0, null]);
  assert.deepEqual(readdirSync(folder).sort(), ['r', 'r-s']);
});

test('a state path of 200 characters is served', async (t) => {
  const folder = place(t);
  const state = join(folder, 'x'.repeat(100), 'y'.repeat(100));
  const server = start(t, ['--root', join(folder, 'r'), '--state', state]);
  await server.ready;
  assert.ok(existsSync(join(state, 'mydocker.sock')), server.text());
  server.process.kill('SIGTERM');
  assert.deepEqual(await server.ended, [0, null]);
});

test('help, version and mistakes are for people', async (t) => {
  const help = start(t, ['--help']);
  assert.deepEqual(await help.ended, [0, null]);
  assert.match(help.text(), /--root DIR/);
  const version = start(t, ['--version']);
  assert.deepEqual(await version.ended, [0, null]);
  assert.match(version.text(), /^mydockerd \d+\.\d+\.\d+\n$/);
  const wrong = start(t, ['--rot']);
  assert.deepEqual(await wrong.ended, [1, null]);
  assert.match(wrong.text(), /^mydockerd: Unknown option '--rot'\n {2}hint: /);
  const tcp = start(t, [
    '--root',
    '/nonexistent/r',
    '--state',
    '/nonexistent/s',
    '--listen',
    'tcp://127.0.0.1:1',
  ]);
  assert.deepEqual(await tcp.ended, [1, null]);
  assert.match(tcp.text(), /cannot listen on tcp:\/\/127\.0\.0\.1:1: this version serves unix sockets only/);
  const points = start(t, [], { MYDOCKER_FAILPOINTS: 'nonsense=exit' });
  assert.deepEqual(await points.ended, [1, null]);
  assert.match(points.text(), /unknown failpoint/);
});

/** Streams under load, and clients that do not take what they asked for: whose problem that is. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import {
  AttachOpen,
  type AttachTaskRequest,
  type AttachTaskResponse,
} from '../../proto/gen/mydocker/v1/tasks.ts';
import { type Host, startHost } from '../harness/host.ts';
import { listProcesses } from '../harness/leaks.ts';
import { assertClean, until, untilAttached } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
beforeEach(async () => {
  await host.ok(['run', '-d', '--name', 'box', 'busybox', 'sleep', '1000']);
});
afterEach(async () => {
  await host.ok(['rm', '-f', 'box']);
  await assertClean(host);
});
after(() => host.dispose());

type Call = ClientDuplexStream<AttachTaskRequest, AttachTaskResponse>;

/** Runs a command in the container with its streams on a call. */
function exec(args: readonly string[]): Call {
  const call = host.api.tasks.attachTask();
  const process = { args: [...args], openStdin: true };
  const open = { container: 'box', exec: process, stdin: true, stdout: true, stderr: true };
  call.write({ frame: { $case: 'open', value: AttachOpen.fromPartial(open) } });
  return call;
}

test('as much out as in, with a client that does not read while it waits to write', {
  timeout: 60_000,
}, async () => {
  const call = exec(['cat']);
  let bytes = 0;
  call.on('data', ({ frame }: AttachTaskResponse) => {
    if (frame?.$case === 'stdout') bytes += frame.value.length;
  });
  const ended = once(call, 'end');
  const piece = Buffer.alloc(256 << 10, 'x');
  const count = 256;
  for (let sent = 0; sent < count; sent += 1) {
    if (!call.write({ frame: { $case: 'stdin', value: piece } })) await once(call, 'drain');
  }
  call.write({ frame: { $case: 'closeStdin', value: {} } });
  await ended;
  assert.equal(bytes, count * piece.length);
});

const LINES = 1_000_000;
const LINE = 'y'.repeat(99);
const BYTES = LINES * (LINE.length + 1);

/** A client that runs for a moment and is then stopped; what it printed comes once it goes on. */
async function stopped(args: readonly string[]): Promise<{ child: ChildProcess; bytes: () => number }> {
  const child = host.spawn(args);
  let bytes = 0;
  child.stdout?.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  child.stderr?.resume();
  await until(
    () => bytes,
    (count) => count > 0,
  );
  child.kill('SIGSTOP');
  return { child, bytes: () => bytes };
}

const residentMb = (): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${host.serverPid}/status`, 'utf8'))?.[1]) / 1024;

test('clients that are stopped slow neither the container nor others, and cost little', async () => {
  // It begins when they are there, and ends by itself.
  const script = `echo begin; while [ ! -e /go ]; do sleep 0.1; done; yes ${LINE} | head -n ${LINES}; sleep 1000`;
  await host.ok(['run', '-d', '--name', 'flood', 'busybox', 'sh', '-c', script]);
  const followers = await Promise.all([stopped(['logs', '-f', 'flood']), stopped(['logs', '-ft', 'flood'])]);
  const events = host.spawn(['events']);
  const attached = host.spawn(['attach', '--no-stdin', 'flood']);
  let attachedBytes = 0;
  attached.stdout?.on('data', (chunk: Buffer) => {
    attachedBytes += chunk.length;
  });
  await untilAttached(host, 'flood', 1);
  for (const client of [events, attached]) client.kill('SIGSTOP');
  const reader = host.spawn(['logs', '-f', 'flood']);
  let readBytes = 0;
  reader.stdout?.on('data', (chunk: Buffer) => {
    readBytes += chunk.length;
  });
  const before = residentMb();
  await host.ok(['exec', 'flood', 'touch', '/go']);
  const wanted = 'begin\n'.length + BYTES;
  let most = 0;
  const slowest: number[] = [];
  await until(
    async () => {
      most = Math.max(most, residentMb());
      const asked = performance.now();
      await host.ok(['ps', '-q']);
      slowest.push(performance.now() - asked);
      return readBytes;
    },
    (bytes) => bytes === wanted,
    60_000,
  );
  assert.ok(most - before < 100, `the server grew by ${most - before} MB`);
  assert.ok(Math.max(...slowest) < 5000, `ps took ${Math.max(...slowest)} ms`);
  // Who goes on has lost nothing.
  for (const client of [attached, followers[0]?.child]) client?.kill('SIGCONT');
  await until(
    () => [attachedBytes, followers[0]?.bytes()],
    ([bytes, followed]) => bytes === BYTES && followed === wanted,
    60_000,
  );
  for (const client of [events, reader, attached, ...followers.map(({ child }) => child)])
    client.kill('SIGKILL');
  await host.ok(['rm', '-f', 'flood']);
});

test('an additional process waits for its stopped client alone, and ends with it', async () => {
  const { child } = await stopped(['exec', 'box', 'yes', 'stopped']);
  await sleep(1000);
  const asked = performance.now();
  assert.equal(await host.ok(['exec', 'box', 'echo', 'other']), 'other');
  assert.ok(performance.now() - asked < 5000);
  const isThere = (): boolean => listProcesses().some(({ command }) => command === 'yes stopped');
  assert.ok(isThere());
  child.kill('SIGKILL');
  await until(isThere, (there) => !there);
});

/** Streams under load, and clients that do not take what they asked for: whose problem that is. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, test } from 'node:test';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import {
  AttachOpen,
  type AttachTaskRequest,
  type AttachTaskResponse,
} from '../../proto/gen/mydocker/v1/tasks.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
  await host.ok(['run', '-d', '--name', 'box', 'busybox', 'sleep', '1000']);
});
afterEach(async () => {
  await host.ok(['rm', '-f', 'box']);
  await assertClean(host);
  await host.ok(['run', '-d', '--name', 'box', 'busybox', 'sleep', '1000']);
});
after(async () => {
  await host.ok(['rm', '-f', 'box']);
  await host.dispose();
});

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

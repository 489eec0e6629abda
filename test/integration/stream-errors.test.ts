/** A handler that fails in the middle of a stream: its client is told, and nobody waits for ever. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceError } from '@grpc/grpc-js';
import { AttachOpen } from '../../proto/gen/mydocker/v1/tasks.ts';
import { type Host, startHost } from '../harness/host.ts';

/** More than any answer needs, less than a test waits. */
const DEADLINE_MS = 60_000;

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
  await host.stop();
});
afterEach(async () => {
  await host.kill9();
  await host.start();
  for (const id of (await host.ok(['ps', '-q'])).split('\n').filter(Boolean)) await host.ok(['rm', '-f', id]);
  await host.assertClean();
  await host.stop();
});
after(() => host.dispose());

/** Messages until the end, and how it ended. */
async function read(
  call: NodeJS.EventEmitter,
): Promise<{ messages: number; error: ServiceError | undefined }> {
  let messages = 0;
  call.on('data', () => {
    messages += 1;
  });
  const ended = once(call, 'end').then(() => undefined);
  const failed = new Promise<ServiceError>((resolve) => call.on('error', resolve));
  return { error: await Promise.race([failed, ended]), messages };
}

for (const [how, code] of [
  ['error(planted)', 13],
  ['panic(planted)', 13],
] as const)
  describe(`${how} behind the first message`, () => {
    const arm = (): Promise<void> =>
      host.start({ env: { MYDOCKER_FAILPOINTS: `stream.message=1*off->1*${how}` } });
    const options = (): { deadline: number } => ({ deadline: Date.now() + DEADLINE_MS });

    test('of a stream from the server', async () => {
      await arm();
      const call = host.api.events.subscribeEvents({ start: { $case: 'afterSeq', value: 0n } }, options());
      call.once('data', () => void host.api.images.tagImage({ image: 'busybox', reference: 'again' }));
      const { messages, error } = await read(call);
      assert.deepEqual([messages, error?.code], [1, code], String(error));
      await host.api.images.removeImage({ image: 'again' });
    });

    test('of a stream both ways, whose client still sends', async () => {
      await arm();
      const { id } = await host.api.containers.createContainer({
        config: {
          rootfs: { $case: 'image', value: 'busybox' },
          command: { values: ['cat'] },
          openStdin: true,
        },
      });
      const call = host.api.tasks.attachTask(options());
      const open = AttachOpen.fromPartial({ container: id, start: true, stdin: true, stdout: true });
      call.write({ frame: { $case: 'open', value: open } });
      const chunk = { frame: { $case: 'stdin', value: Buffer.alloc(1 << 16, 'x') } } as const;
      for (let count = 0; count < 64; count += 1) call.write(chunk);
      const { messages, error } = await read(call);
      assert.deepEqual([messages, error?.code], [1, code], String(error));
    });

    test('of a client that reads slowly', async () => {
      await host.start();
      const script = 'head -c 40000000 /dev/zero | tr "\\0" "x"';
      await host.ok(['run', '-d', '--name', 'much', 'busybox', 'sh', '-c', script]);
      await host.ok(['wait', 'much']);
      await host.stop();
      await host.start({ env: { MYDOCKER_FAILPOINTS: `stream.message=30*off->1*${how}` } });
      const call = host.api.tasks.readTaskLogs({ container: 'much' }, options());
      const reading = read(call);
      call.pause();
      // The server has sent what the client's window takes, and has failed behind it.
      await sleep(1000);
      call.resume();
      // grpc-js tells the error before the messages that its reader has not taken.
      const { error } = await reading;
      assert.equal(error?.code, code, String(error));
    });

    test('of the command line client', async () => {
      await arm();
      const attached = await host.cli(['run', 'busybox', 'echo', 'x']);
      assert.equal(attached.code, 125);
      assert.match(attached.stderr, /internal error|planted/);
      const followed = await host.cli(['images']);
      assert.deepEqual([followed.code, followed.stderr], [0, '']);
    });
  });

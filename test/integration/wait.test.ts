/** `wait`: the exit status, whenever it is asked for. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WaitCondition } from '../../proto/gen/mydocker/v1/tasks.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, refused } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

test('wait waits for the end and prints the status of each', async () => {
  await host.ok(['run', '-d', '--name', 'w1', 'busybox', 'sh', '-c', 'sleep 0.5; exit 3']);
  await host.ok(['run', '-d', '--name', 'w2', 'busybox', 'sh', '-c', 'exit 4']);
  await host.ok(['create', '--name', 'w3', 'busybox', 'true']);
  assert.equal(await host.ok(['wait', 'w1', 'w2', 'w3']), '3\n4\n0');
  assert.equal(await host.ok(['wait', 'w1']), '3');
  await refused(host, ['wait', 'nosuch'], /no such container/);
  await refused(host, ['wait'], /too few arguments/);
  await host.ok(['rm', 'w1', 'w2', 'w3']);
});

test('many that wait all learn it, and one that leaves disturbs nobody', async () => {
  await host.ok(['run', '-d', '--name', 'awaited', 'busybox', 'sleep', '1000']);
  const waits = Array.from({ length: 5 }, () => host.ok(['wait', 'awaited']));
  const leaver = host.spawn(['wait', 'awaited']);
  await sleep(300);
  leaver.kill('SIGKILL');
  await host.ok(['kill', 'awaited']);
  assert.deepEqual(await Promise.all(waits), Array(5).fill('137'));
  await host.ok(['rm', 'awaited']);
});

test('a wait for a run by its id is never too late', async () => {
  await host.ok(['create', '--name', 'brief', '--rm', 'busybox', 'sh', '-c', 'exit 6']);
  const { run, containerId } = await host.api.tasks.startTask({ container: 'brief' });
  await host.api.tasks
    .waitTask({ container: containerId, condition: WaitCondition.REMOVED })
    .catch(() => undefined);
  const { exit } = await host.api.tasks.waitTask({ runId: run?.runId ?? '' });
  assert.equal(exit?.exitStatus, 6);
  assert.equal(exit?.runId, run?.runId);
});

test('a wait for the next exit waits for a run to come', async () => {
  await host.ok([
    'run',
    '--name',
    'next',
    'busybox',
    'sh',
    '-c',
    '[ -e /second ] && exit 2; touch /second; exit 0',
  ]);
  const next = host.api.tasks.waitTask({ container: 'next', condition: WaitCondition.NEXT_EXIT });
  await sleep(100);
  await host.ok(['start', 'next']);
  assert.equal((await next).exit?.exitStatus, 2);
  await host.ok(['rm', 'next']);
});

test('a wait ends with its deadline', async () => {
  await host.ok(['run', '-d', '--name', 'long', 'busybox', 'sleep', '1000']);
  await assert.rejects(
    host.api.tasks.waitTask({ container: 'long' }, { deadline: Date.now() + 200 }),
    (error: { code: number }) => error.code === 4,
  );
  await host.ok(['rm', '-f', 'long']);
});

test('a wait tells of a removal', async () => {
  await host.ok(['run', '-d', '--name', 'removed', 'busybox', 'sleep', '1000']);
  const wait = host.api.tasks.waitTask({ container: 'removed' });
  await host.ok(['rm', '-f', 'removed']);
  assert.equal((await wait).exit?.exitStatus, 137);
});

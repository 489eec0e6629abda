/**
 * What the first process of a container may do instead of ending in good order: it forks away, ignores signals,
 * leaves zombies, closes its streams, has descendants that hold them open. Its end is the container's end, told
 * at once, and nothing of it stays.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { SLOWNESS } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { api, checkClean, create, dispose, kill, run, start, told, wait } from './deaths-ground.ts';
import { until, untilLogged, untilRuns } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => checkClean(host));
after(() => dispose(host));

/** An end that waits for a descendant would take a thousand seconds. */
const SOON_MS = 5000 * SLOWNESS;

async function endsSoon(container: string): Promise<string> {
  const began = performance.now();
  const exit = await wait(host, container);
  assert.ok(performance.now() - began < SOON_MS, 'its end was told late');
  return told(exit);
}

test('one that forks away has ended, and its descendants with it', async () => {
  const id = await run(host, '(setsid sleep 1000 &) ; sleep 1000 & exit 3');
  assert.equal(await endsSoon(id), 'exited 3 signal 0');
});

test('one whose descendants hold its streams open is told at its own end', async () => {
  const script = '(trap "" HUP TERM INT; sleep 1000 >&1 2>&2) & echo said; exit 4';
  const { code, stdout } = await host.cli(['run', '--rm', 'busybox', 'sh', '-c', script]);
  assert.deepEqual([code, stdout], [4, 'said\n']);
});

test('one that closes its streams goes on until it ends', async () => {
  const id = await run(host, 'exec <&- >&- 2>&-; read line </dev/zero & sleep 0.2; exit 5');
  assert.equal(await endsSoon(id), 'exited 5 signal 0');
});

test('one that ignores every signal is ended by a stop all the same', async () => {
  const id = await create(
    host,
    'trap "" TERM INT HUP QUIT USR1 USR2 PIPE; echo deaf; while :; do sleep 1; done',
  );
  await start(host, id);
  await untilLogged(host, id, /deaf/);
  await api(host).tasks.stopTask({ container: id, timeoutMs: 300 });
  assert.equal(await endsSoon(id), 'exited 137 signal 9');
});

test('one with hundreds of zombies is listed, entered and ended like any other', async () => {
  // They end once the shell has become something that does not reap them.
  const farm = 'mkfifo /go; i=0; while [ $i -lt 300 ]; do cat /go & i=$((i+1)); done; exec sleep 1000';
  const id = await run(host, farm);
  await untilRuns('sleep 1000');
  await host.ok(['exec', id, 'sh', '-c', ': >/go']);
  const count = ['exec', id, 'sh', '-c', 'cat /proc/[0-9]*/status | grep -c "^State:.Z"'];
  await until(
    async () => Number((await host.cli(count)).stdout),
    (zombies) => zombies === 300,
  );
  assert.match(await host.ok(['ps']), /running/);
  await kill(host, id);
  assert.equal(await endsSoon(id), 'exited 137 signal 9');
});

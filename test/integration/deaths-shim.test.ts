/**
 * Shims and the zygote are killed, or stopped: what they held is told and cleared up within two seconds, and
 * nobody else notices.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitCode, SLOWNESS } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { listProcesses } from '../harness/leaks.ts';
import {
  api,
  checkClean,
  checkRules,
  create,
  dispose,
  FOREVER,
  isAlive,
  kill,
  list,
  look,
  pidsTitled,
  remove,
  run,
  shimOf,
  start,
  statusOf,
  stopZygote,
  told,
  wait,
} from './deaths-ground.ts';
import { outputOf, until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => checkClean(host));
after(() => dispose(host));

const LOST = 'lost 137 signal 9';

/** @returns how long it took, in milliseconds of an ordinary machine. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / SLOWNESS;
}

/** Waits until a client has printed something. */
async function untilTold(client: ChildProcess, text: string): Promise<ChildProcess> {
  await until(outputOf(client), (now) => now.includes(text));
  return client;
}

test('a killed shim takes its container along and is told as lost', async () => {
  const other = await run(host, FOREVER, { name: 'other' });
  await run(host, 'sleep 1001 & sleep 1002 & while :; do echo tick; usleep 20000; done', { name: 'web' });
  const pid = (await look(host, 'web'))?.run?.pid ?? 0;
  const attached = await untilTold(host.spawn(['attach', 'web']), 'tick');
  const following = await untilTold(host.spawn(['logs', '-f', 'web']), 'tick');
  const executed = host.cli(['exec', 'web', 'sleep', '1003']);
  await until(
    () => listProcesses().filter(({ command }) => command === 'sleep 1003'),
    (execs) => execs.length === 1,
  );
  process.kill(await shimOf(host, 'web'), 'SIGKILL');
  const tookMs = await timed(async () => assert.equal(told(await wait(host, 'web')), LOST));
  assert.ok(tookMs < 2000, `${tookMs} ms`);
  assert.ok(!isAlive(pid));
  const { code, stderr } = await executed;
  assert.equal(code, 137, stderr);
  assert.equal(await exitCode(attached), 137);
  assert.equal(await exitCode(following), 0);
  assert.match((await look(host, 'web'))?.exit?.message ?? '', /shim/);
  await checkRules(host);
  assert.equal(await host.ok(['exec', other, 'echo', 'fine']), 'fine');
  await start(host, 'web');
  await remove(host, 'web');
});

test('a shim that is killed while nobody serves', async () => {
  await run(host, FOREVER, { name: 'web' });
  await run(host, FOREVER, { name: 'goes', autoRemove: true });
  const shims = [await shimOf(host, 'web'), await shimOf(host, 'goes')];
  await host.kill9();
  for (const shim of shims) process.kill(shim, 'SIGKILL');
  await host.start();
  assert.equal(told(await wait(host, 'web')), LOST);
  await until(
    () => statusOf(host, 'goes'),
    (status) => status === 'gone',
  );
  await checkRules(host);
});

test('all shims killed at once', async () => {
  const ids = await Promise.all(Array.from({ length: 20 }, () => run(host, FOREVER)));
  for (const pid of pidsTitled(host, 'mydocker-shim')) process.kill(pid, 'SIGKILL');
  for (const id of ids) assert.equal(told(await wait(host, id)), LOST);
  await checkRules(host);
});

test('a shim killed in the middle of a start', async () => {
  for (const delayMs of [0, 1, 2, 4, 8]) {
    // The one before may still be about to end.
    await until(
      () => pidsTitled(host, 'mydocker-shim'),
      (pids) => pids.length === 0,
    );
    const id = await create(host, FOREVER, { name: 'web' });
    const starting = start(host, id).then(
      () => '',
      (error: Error) => error.message,
    );
    const victim = await until(
      () => pidsTitled(host, 'mydocker-shim')[0],
      (pid) => pid !== undefined,
    );
    await sleep(delayMs);
    process.kill(victim ?? 0, 'SIGKILL');
    assert.match(await starting, /^$|cannot start container web: its shim ended before the process began/);
    await until(
      () => statusOf(host, id),
      (status) => status !== 'running' && status !== 'starting',
    );
    await checkRules(host);
    await start(host, id);
    await remove(host, id);
  }
});

test('a killed zygote: what runs lives on, and the next start works', async () => {
  await run(host, FOREVER, { name: 'web' });
  for (let deaths = 0; deaths < 3; deaths++) {
    const [zygote = 0, ...more] = pidsTitled(host, 'mydocker-zygote');
    assert.deepEqual(more, []);
    process.kill(zygote, 'SIGKILL');
    assert.equal(await host.ok(['exec', 'web', 'echo', 'alive']), 'alive');
    assert.equal(await host.ok(['run', '--rm', 'busybox', 'echo', 'next']), 'next');
  }
  await kill(host, 'web');
  assert.equal(told(await wait(host, 'web')), 'exited 137 signal 9');
});

test('a stopped zygote: a start has a deadline or is cancelled, and works when it goes on', async () => {
  const zygote = await stopZygote(host);
  try {
    const id = await create(host, FOREVER, { name: 'web' });
    const deadline = Date.now() + 300;
    await assert.rejects(api(host).tasks.startTask({ container: id }, { deadline }), /DEADLINE_EXCEEDED/);
    assert.ok(
      (await list(host)).some(({ name }) => name === 'web'),
      'others are served',
    );
  } finally {
    process.kill(zygote, 'SIGCONT');
  }
  await until(
    () => statusOf(host, 'web'),
    // Undone, or ended as soon as it had begun.
    (status) => status === 'created' || status === 'stopped',
  );
  await start(host, 'web');
  await checkRules(host);
});

test('a zygote that stays stopped is replaced', async () => {
  await run(host, FOREVER, { name: 'other' });
  const zygote = await stopZygote(host);
  const id = await create(host, FOREVER, { name: 'web' });
  const tookMs = await timed(() =>
    assert.rejects(start(host, id), /its shim ended before the process began/),
  );
  assert.ok(tookMs < 7000, `${tookMs} ms`);
  assert.equal(await statusOf(host, id), 'created');
  await start(host, id);
  assert.equal(await host.ok(['exec', 'other', 'echo', 'fine']), 'fine');
  assert.ok(!isAlive(zygote));
  await checkRules(host);
});

test('a killed shim of an additional process: the process goes, the container stays', async () => {
  await run(host, FOREVER, { name: 'web' });
  const { run: exec } = await api(host).tasks.execTask({
    container: 'web',
    process: { args: ['sleep', '1003'] },
  });
  process.kill(exec?.shimPid ?? 0, 'SIGKILL');
  const { exit } = await api(host).tasks.waitTask({ container: 'web', runId: exec?.runId ?? '' });
  assert.equal(told(exit), LOST);
  await until(
    () => isAlive(exec?.pid ?? 0),
    (alive) => !alive,
  );
  assert.equal(await statusOf(host, 'web'), 'running');
  await checkRules(host);
  const tookMs = await timed(async () => {
    await kill(host, 'web');
    assert.equal(told(await wait(host, 'web')), 'exited 137 signal 9');
  });
  assert.ok(tookMs < 1500, `${tookMs} ms`);
});

test('a stopped shim of an additional process does not hold its container', async () => {
  for (const end of ['kill', 'stop']) {
    const id = await run(host, FOREVER);
    const { run: exec } = await api(host).tasks.execTask({
      container: id,
      process: { args: ['sleep', '1003'] },
    });
    process.kill(exec?.shimPid ?? 0, 'SIGSTOP');
    const tookMs = await timed(async () => {
      if (end === 'kill') await kill(host, id);
      else await api(host).tasks.stopTask({ container: id, timeoutMs: 0 });
      assert.equal(told(await wait(host, id)), 'exited 137 signal 9');
    });
    assert.ok(tookMs < 3000, `${end}: ${tookMs} ms`);
    await checkRules(host);
    await remove(host, id);
  }
});

test('a stopped shim: lists answer, others go on, kill, stop and rm work', async () => {
  await run(host, FOREVER, { name: 'other' });
  for (const end of ['kill', 'stop', 'rm']) {
    const id = await run(host, FOREVER, { name: 'web' });
    process.kill(await shimOf(host, id), 'SIGSTOP');
    assert.ok((await timed(() => list(host))) < 500);
    assert.equal(await host.ok(['exec', 'other', 'echo', 'fine']), 'fine');
    const tookMs = await timed(async () => {
      if (end === 'kill') await kill(host, id);
      if (end === 'stop') await api(host).tasks.stopTask({ container: id, timeoutMs: 0 });
      if (end === 'rm') await remove(host, id);
      else assert.equal(told(await wait(host, id)), LOST);
    });
    assert.ok(tookMs < 6000, `${end}: ${tookMs} ms`);
    await checkRules(host);
    if (end !== 'rm') await remove(host, id, false);
  }
});

test('a stopped shim that goes on has lost nothing', async () => {
  const id = await run(host, 'i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo $i; usleep 10000; done; exit 3');
  const shim = await shimOf(host, id);
  process.kill(shim, 'SIGSTOP');
  await sleep(200);
  // A new server takes the container over, though its shim does not answer.
  await host.kill9();
  await host.start();
  assert.equal(await statusOf(host, id), 'running');
  process.kill(shim, 'SIGCONT');
  assert.equal(told(await wait(host, id)), 'exited 3 signal 0');
  assert.equal((await host.ok(['logs', id])).split('\n').length, 50);
});

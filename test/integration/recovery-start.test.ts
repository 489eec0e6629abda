/**
 * The server dies in the middle of a start while whoever does the work is slow: nothing comes to life behind
 * the back of the next server.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
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
  pidsTitled,
  remove,
  run,
  start,
  statusOf,
  stopZygote,
  wait,
} from './deaths-ground.ts';
import { until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => checkClean(host));
after(() => dispose(host));

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it has ended
  }
}

/** Whatever it is, it can be used from there. */
async function use(name: string): Promise<void> {
  const status = await statusOf(host, name);
  assert.match(status, /^(created|stopped|running)$/);
  if (status !== 'running') await start(host, name);
  await kill(host, name);
  await wait(host, name);
  await remove(host, name, false);
}

test('launches that a stopped zygote had not begun never begin', async () => {
  const ids = await Promise.all([1, 2, 3].map(() => create(host, 'sleep 1000')));
  const zygote = await stopZygote(host);
  for (const id of ids) start(host, id).catch(() => undefined);
  // Recorded, and committed into a socket that nobody reads yet.
  await until(
    () => Promise.all(ids.map((id) => statusOf(host, id))),
    (statuses) => statuses.every((status) => status === 'starting'),
  );
  await sleep(100);
  await host.kill9();
  await host.start();
  signal(zygote, 'SIGCONT');
  for (const id of ids) assert.equal(await statusOf(host, id), 'created');
  await sleep(300);
  assert.deepEqual(
    listProcesses().filter(({ command }) => command === 'sleep 1000'),
    [],
  );
  assert.ok(!isAlive(zygote));
  await checkRules(host);
  for (const id of ids) await start(host, id);
  await checkRules(host);
});

test('a shim that is stopped at some moment of its start', async () => {
  for (const afterMs of [0, 2, 5, 10]) {
    await create(host, FOREVER, { name: 'web' });
    start(host, 'web').catch(() => undefined);
    const shim = await until(
      () => pidsTitled(host, 'mydocker-shim')[0],
      (pid) => pid !== undefined,
    );
    if (afterMs > 0) await sleep(afterMs);
    signal(shim ?? 0, 'SIGSTOP');
    await sleep(20);
    await host.kill9();
    await host.start();
    const status = await statusOf(host, 'web');
    signal(shim ?? 0, 'SIGCONT');
    await sleep(100);
    // The start may have been found half way; else it is what the server says.
    if (status === 'starting')
      await until(
        () => statusOf(host, 'web'),
        (now) => now === 'running',
      );
    else assert.equal(await statusOf(host, 'web'), status);
    await checkRules(host);
    await use('web');
  }
});

test('an additional process whose start is stopped at some moment', async () => {
  const id = await run(host, FOREVER);
  const [init] = pidsTitled(host, 'mydocker-shim');
  for (const afterMs of [0, 2, 5]) {
    api(host)
      .tasks.execTask({ container: id, process: { args: ['sleep', '1007'] } })
      .catch(() => undefined);
    const shim = await until(
      () => pidsTitled(host, 'mydocker-shim').find((pid) => pid !== init),
      (pid) => pid !== undefined,
    );
    if (afterMs > 0) await sleep(afterMs);
    signal(shim ?? 0, 'SIGSTOP');
    await sleep(20);
    await host.kill9();
    await host.start();
    signal(shim ?? 0, 'SIGCONT');
    await sleep(100);
    const execs = (await api(host).tasks.getTask({ container: id })).task?.execs ?? [];
    const running = listProcesses().filter(({ command }) => command === 'sleep 1007');
    assert.equal(execs.length, running.length, 'every process is known');
    for (const { run: exec } of execs)
      await api(host).tasks.killTask({ container: id, runId: exec?.runId ?? '', signal: 'KILL' });
    await checkRules(host);
  }
  assert.equal(await statusOf(host, id), 'running');
});

test('a server that dies at random moments of many starts', async () => {
  for (let death = 0; death < 6; death++) {
    const ids = await Promise.all(Array.from({ length: 8 }, () => create(host, FOREVER)));
    for (const id of ids) start(host, id).catch(() => undefined);
    await sleep(5 + death * 12);
    await host.kill9();
    await host.start();
    for (const id of ids) assert.match(await statusOf(host, id), /^(created|running)$/);
    await checkRules(host);
    await Promise.all(ids.map((id) => remove(host, id)));
  }
});

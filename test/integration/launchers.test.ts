/**
 * Launchers that wait for the next start: taken where they fit, made again behind the answer, gone with their server
 * however that one ends, and nobody's concern when they die. @vm
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { NetworkMode } from '../../proto/gen/mydocker/v1/config.ts';
import { type Host, startHost } from '../harness/host.ts';
import { listCgroups } from '../harness/leaks.ts';
import {
  api,
  checkClean,
  checkRules,
  codeOf,
  create,
  dispose,
  FOREVER,
  isAlive,
  isServing,
  launchersWait,
  pidsTitled,
  pointsOf,
  remove,
  restartWith,
  run,
  start,
  statusOf,
  untilDead,
  wait,
} from './deaths-ground.ts';
import { until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => checkClean(host));
after(() => dispose(host));

/** Shim and launcher, which share a title. */
const launchers = (): number[] => pidsTitled(host, 'mydocker-launcher');

const groups = (): string[] =>
  listCgroups(host.cgroupParent).filter((path) => /\/launcher-[0-9a-f]{16}$/.test(path));

/** Waits until as many launchers wait as may. @returns their processes. */
const filled = (): Promise<number[]> => launchersWait(host);

const gone = (): Promise<unknown> =>
  until(
    () => [...launchers(), ...groups()],
    (left) => left.length === 0,
  );

/** A server whose launchers wait. */
async function withLaunchers(): Promise<number[]> {
  await remove(host, await run(host, FOREVER));
  return await filled();
}

test('the first start finds none, the next one does, and its shim was the one that waited', async () => {
  await host.restart();
  assert.deepEqual([launchers(), groups()], [[], []]);
  const [first = 0, second = 0] = await withLaunchers();
  const shim = Math.min(first, second);
  const id = await run(host, FOREVER, { name: 'web' });
  const { container } = await api(host).containers.getContainer({ container: id });
  assert.equal(container?.run?.shimPid, shim);
  assert.ok(!isAlive(Math.max(first, second)), 'its launcher has ended');
  assert.equal(await host.ok(['exec', 'web', 'hostname']), id.slice(0, 12));
  await checkRules(host);
  await filled();
});

test('none is made while a start is under way, and one is as soon as that is over', async () => {
  await restartWith(host, 'start.launched=1*delay(2000)');
  const [slow, quick] = [await create(host, FOREVER), await create(host, 'exit 0')];
  const slowly = start(host, slow);
  await until(
    () => statusOf(host, slow),
    (status) => status === 'starting',
  );
  await start(host, quick);
  await wait(host, quick);
  // Several times as long as one takes otherwise.
  await sleep(300);
  assert.deepEqual(launchers(), []);
  await slowly;
  await filled();
  for (const id of [slow, quick]) await remove(host, id);
});

test('whoever wants what a launcher cannot give leaves it where it is', async () => {
  const waiting = await withLaunchers();
  const elsewhere = `${host.cgroupParent}/elsewhere`;
  for (const args of [
    ['--cgroup-parent', elsewhere],
    ['--network', 'host'],
    ['--pid', 'host'],
    ['--ipc', 'host'],
  ]) {
    const { code } = await host.cli(['run', '--rm', ...args, 'busybox', 'true']);
    assert.equal(code, 0, args.join(' '));
  }
  assert.deepEqual(await filled(), waiting);
});

test('a start that fails leaves nothing of its launcher', async () => {
  await withLaunchers();
  assert.equal((await host.cli(['run', '--rm', 'busybox', 'nothing-there'])).code, 127);
  await checkRules(host);
  await remove(host, await run(host, FOREVER));
  await filled();
});

test('launchers go with a server that stops, and with one that is killed', async () => {
  await withLaunchers();
  await host.stop();
  assert.deepEqual([launchers(), groups()], [[], []]);
  await host.start();
  await withLaunchers();
  await host.kill9();
  await gone();
});

test('what a launcher that was stopped has not begun never begins, and the next server clears up', async () => {
  const id = await create(host, FOREVER, { name: 'web' });
  const waiting = await withLaunchers();
  for (const pid of waiting) process.kill(pid, 'SIGSTOP');
  start(host, id).catch(() => undefined);
  await until(
    () => statusOf(host, id),
    (status) => status === 'starting',
  );
  await host.kill9();
  assert.ok(groups().length > 0 || listCgroups(host.cgroupParent).length === 0, 'nothing to clear up');
  await host.start();
  assert.deepEqual([launchers(), groups()], [[], []]);
  assert.equal(await statusOf(host, id), 'created');
  await checkRules(host);
  await start(host, id);
});

test('a launcher or its shim that dies is nobody’s concern', async () => {
  for (const which of [Math.min, Math.max]) {
    process.kill(which(...(await withLaunchers())), 'SIGKILL');
    await gone();
    await checkRules(host);
    assert.equal(await host.ok(['run', '--rm', 'busybox', 'echo', 'fine']), 'fine');
  }
});

test('a shim that is stopped while it waits: that start has a deadline, the next one works', async () => {
  const [first = 0, second = 0] = await withLaunchers();
  process.kill(Math.min(first, second), 'SIGSTOP');
  const id = await create(host, FOREVER, { name: 'web' });
  await assert.rejects(start(host, id), (error) => codeOf(error) === 'UNAVAILABLE');
  assert.equal(await statusOf(host, id), 'created');
  await start(host, id);
  await checkRules(host);
});

test('a server that dies while it makes a launcher, or cannot make one', async () => {
  for (const point of pointsOf('launcher')) {
    await restartWith(host, `${point}=exit`);
    const asked = run(host, FOREVER, { name: 'web' }).catch(() => undefined);
    await untilDead(host);
    await asked;
    await host.start();
    assert.ok(isServing(host));
    await checkRules(host);
    await remove(host, 'web');
    await restartWith(host, `${point}=error(no)`);
    for (let starts = 0; starts < 3; starts += 1) await remove(host, await run(host, FOREVER));
    await checkRules(host);
    await host.stop();
    await gone();
    await host.start();
  }
});

test('as many wait as the configuration says', async () => {
  const file = join(host.folder, 'launchers.json');
  for (const launchersWanted of [0, 3]) {
    writeFileSync(file, JSON.stringify({ launchers: launchersWanted }));
    await host.stop();
    await host.start({ args: ['--config', file] });
    await remove(host, await run(host, FOREVER));
    await until(launchers, (pids) => pids.length === 2 * launchersWanted);
    const ids = await Promise.all([1, 2, 3, 4].map(() => run(host, FOREVER)));
    await checkRules(host);
    for (const id of ids) await remove(host, id);
  }
});

test('networks work in a namespace that was made ahead', async () => {
  await host.restart();
  await withLaunchers();
  const { id } = await api(host).containers.createContainer({
    name: 'web',
    config: {
      rootfs: { $case: 'image', value: 'busybox' },
      command: { values: ['sh', '-c', FOREVER] },
      network: { mode: NetworkMode.NETWORKS },
    },
  });
  await start(host, id);
  const show = [
    'sh',
    '-c',
    'ip -o link | grep -c eth0; ip route | grep -c default; ip -o link show lo | grep -c UP',
  ];
  assert.equal(await host.ok(['exec', 'web', ...show]), '1\n1\n1');
});

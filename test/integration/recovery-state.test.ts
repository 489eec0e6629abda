/**
 * A server finds other things than the one before it left: an empty state folder, another boot, a run whose
 * files are damaged, another server on the same root. @vm
 */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { PROJECT, run as runProgram, SLOWNESS } from '../harness/cli.ts';
import { Host, type Host as HostType, startHost } from '../harness/host.ts';
import { anotherBoot, BOOT_ID } from './another-boot.ts';
import {
  api,
  checkClean,
  checkRules,
  create,
  dispose,
  FOREVER,
  isAlive,
  list,
  look,
  pidsTitled,
  remove,
  run,
  start,
  statusOf,
  told,
  wait,
} from './deaths-ground.ts';
import { until } from './ground.ts';

let host: HostType;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => checkClean(host));
after(() => dispose(host));

/** One container of each kind. @returns pids of all that runs. */
async function oneOfEach(): Promise<number[]> {
  await run(host, `sleep 1001 & ${FOREVER}`, { name: 'web' });
  await run(host, FOREVER, { name: 'goes', autoRemove: true });
  await create(host, FOREVER, { name: 'never' });
  await wait(host, await run(host, 'exit 4', { name: 'ended' }));
  await api(host).tasks.createTask({ container: await create(host, FOREVER, { name: 'gate' }) });
  await api(host).tasks.execTask({ container: 'web', process: { args: ['sleep', '1002'] } });
  return [
    ...pidsTitled(host, 'mydocker-shim'),
    ...(await Promise.all(
      ['web', 'goes', 'gate'].map(async (name) => (await look(host, name))?.run?.pid ?? 0),
    )),
  ];
}

async function untilGone(pids: readonly number[]): Promise<void> {
  await until(
    () => pids.filter(isAlive),
    (alive) => alive.length === 0,
  );
}

test('a wiped state folder: what ran is killed, told as lost and removable', async () => {
  const pids = await oneOfEach();
  await host.kill9();
  for (const name of readdirSync(host.state)) rmSync(join(host.state, name), { recursive: true });
  await host.start();
  await untilGone(pids);
  assert.equal(told(await wait(host, 'web')), 'lost 137 signal 9');
  assert.equal(await statusOf(host, 'goes'), 'gone');
  assert.equal(await statusOf(host, 'never'), 'created');
  assert.equal(await statusOf(host, 'gate'), 'created');
  assert.equal(told((await look(host, 'ended'))?.exit), 'exited 4 signal 0');
  await checkRules(host);
  for (const name of ['web', 'gate', 'never']) await start(host, name);
  for (const { id } of await list(host)) await remove(host, id);
});

test('a state folder that is gone altogether', async () => {
  const pids = await oneOfEach();
  await host.kill9();
  rmSync(host.state, { recursive: true });
  await host.start();
  await untilGone(pids);
  assert.equal(told(await wait(host, 'web')), 'lost 137 signal 9');
  assert.equal(statSync(host.state).mode & 0o777, 0o700);
  await checkRules(host);
});

test('another boot: what ran is told as ended by it, and what still runs is ended', async () => {
  const pids = await oneOfEach();
  const before = (await look(host, 'web'))?.run?.runId;
  await host.kill9();
  const restore = anotherBoot(host);
  try {
    await host.start();
    await untilGone(pids);
    const { exit, status } = (await look(host, 'web')) ?? {};
    assert.equal(told(exit), 'reboot 255 signal 0');
    assert.equal(exit?.runId, before);
    assert.equal(status, (await look(host, 'ended'))?.status);
    assert.equal(await statusOf(host, 'goes'), 'gone');
    assert.equal(await statusOf(host, 'never'), 'created');
    assert.equal(told((await look(host, 'gate'))?.exit), 'reboot 255 signal 0');
    assert.equal(told((await look(host, 'ended'))?.exit), 'exited 4 signal 0');
    await checkRules(host);
    await start(host, 'web');
    // The second start of the same boot finds it.
    await host.kill9();
    await host.start();
    assert.equal(await statusOf(host, 'web'), 'running');
    await remove(host, 'web');
  } finally {
    await restore();
  }
});

test('a real reboot leaves an empty state folder and no process', async () => {
  const pids = await oneOfEach();
  const other = await run(host, FOREVER);
  await host.kill9();
  for (const pid of new Set([...pids, ...pidsTitled(host, 'mydocker-shim')])) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // with its shim
    }
  }
  rmSync(host.state, { recursive: true });
  const restore = anotherBoot(host);
  try {
    await host.start();
    for (const name of ['web', other]) assert.equal(told(await wait(host, name)), 'reboot 255 signal 0');
    await checkRules(host);
    for (const name of ['web', 'ended', 'never', 'gate']) await start(host, name);
    await checkRules(host);
    await Promise.all((await list(host)).map(({ id }) => remove(host, id)));
  } finally {
    await restore();
  }
});

test('damaged files of a run: the container is told as lost, the server starts', async () => {
  for (const file of ['exit', 'state']) {
    for (const damage of ['', 'version 1\ncontainer ', 'version 99\n', '\xff\0\n']) {
      const id = await run(host, FOREVER);
      const { runId = '', pid = 0 } = (await look(host, id))?.run ?? {};
      await host.kill9();
      if (file === 'exit') {
        process.kill(pid, 'SIGKILL');
        await untilGone([pid]);
      }
      const path = join(host.state, 'shims', runId, file);
      await until(
        () => readdirSync(join(host.state, 'shims', runId)).includes(file),
        (there) => there,
      );
      truncateSync(path);
      writeFileSync(path, damage, 'latin1');
      await host.start();
      assert.equal(told(await wait(host, id)), 'lost 137 signal 9');
      await checkRules(host);
      await remove(host, id, false);
    }
  }
});

test('leftovers of unknown origin in the state folder and below containers/ are swept', async () => {
  const id = await run(host, FOREVER);
  await host.kill9();
  mkdirSync(join(host.state, 'shims/0123456789abcdef'));
  writeFileSync(join(host.state, 'shims/0123456789abcdef/state'), 'nonsense');
  mkdirSync(join(host.state, 'shims/fedcba9876543210'));
  mkdirSync(join(host.root, 'containers', 'f'.repeat(64), 'upper'), { recursive: true });
  mkdirSync(join(host.root, 'containers', `.rm-${'e'.repeat(64)}`));
  await host.start();
  assert.equal(await statusOf(host, id), 'running');
  await checkRules(host);
});

test('a second server on the same root is refused and changes nothing', async () => {
  const id = await run(host, FOREVER);
  for (const state of [host.state, join(host.folder, 'other-state')]) {
    const began = performance.now();
    const { code, stderr } = await runProgram(join(PROJECT, 'bin/mydockerd'), [
      ...['--root', host.root, '--state', state, '--listen', `unix://${host.folder}/other.sock`],
      ...['--cgroup-parent', host.cgroupParent],
    ]);
    assert.equal(code, 1);
    assert.match(stderr, /in use|another|already/);
    assert.ok(!stderr.includes('    at '), stderr);
    assert.ok(performance.now() - began < 30_000 * SLOWNESS);
  }
  rmSync(join(host.folder, 'other-state'), { recursive: true, force: true });
  rmSync(join(host.folder, 'other.sock'), { force: true });
  assert.equal(await host.ok(['exec', id, 'echo', 'fine']), 'fine');
  await checkRules(host);
});

test('a second server on the same state folder is refused, whether the first one serves or not', async () => {
  const id = await run(host, FOREVER);
  const root = join(host.folder, 'other-root');
  for (const serves of [true, false]) {
    if (!serves) await host.kill9();
    const args = ['--root', root, '--state', host.state, '--listen', host.address];
    const { code, stderr } = await runProgram(join(PROJECT, 'bin/mydockerd'), args);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /cannot use folder \S+: it is the state of another server/);
  }
  rmSync(root, { recursive: true, force: true });
  await host.start();
  assert.equal(await host.ok(['exec', id, 'echo', 'fine']), 'fine');
  await checkRules(host);
});

test('two servers with different roots side by side', async () => {
  const second = await startHost({ images: ['busybox'] });
  try {
    const [one, two] = [
      await run(host, FOREVER, { name: 'web' }),
      await run(second, FOREVER, { name: 'web' }),
    ];
    assert.notEqual(one, two);
    for (const from of [host, second]) {
      await from.kill9();
      await from.start();
      assert.equal(await statusOf(host, 'web'), 'running');
      assert.equal(await statusOf(second, 'web'), 'running');
      assert.deepEqual((await list(from)).length, 1);
    }
    await remove(second, 'web');
    assert.equal(await host.ok(['exec', 'web', 'echo', 'fine']), 'fine');
    assert.equal(await second.stop(), 0);
    assert.equal(await host.ok(['exec', 'web', 'echo', 'fine']), 'fine');
  } finally {
    await dispose(second);
  }
  assert.equal(readFileSync(BOOT_ID, 'utf8').length, 37);
});

test('a stale socket of a dead server is no obstacle', async () => {
  assert.ok(host instanceof Host);
  await host.kill9();
  assert.ok(readdirSync(host.state).includes('mydocker.sock'));
  await host.start();
  assert.equal((statSync(host.socket).mode & 0o777).toString(8), '660');
});

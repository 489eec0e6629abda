/** Shims and zygotes are killed where they stand: what dies with them, and what goes on. @vm */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { reapCgroup } from '../../server/cgroup/reap.ts';
import { readExitFile } from '../../server/task/run-files.ts';
import { ShimConnection } from '../../server/task/shim-connection.ts';
import { ShimGone } from '../../server/task/shim-error.ts';
import { REQUEST } from '../../server/task/shim-protocol.ts';
import { connectInFolder } from '../../server/task/shim-sockets.ts';
import { listProcesses } from '../harness/leaks.ts';
import { collect, end, type Launched, ShimGround, SLEEP, USER, until } from './shim-ground.ts';

const SIGKILL = 9;

let ground: ShimGround;
before(async () => {
  ground = await ShimGround.make();
});
afterEach(async () => {
  ground.removeRuns();
  await ground.assertNothingLeft();
});
after(() => ground.dispose());

const isAlive = (pid: number): boolean => {
  try {
    // A zombie is as dead.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};

for (const [who, choice] of [
  ['root', SLEEP],
  ['a user', { ...SLEEP, user: USER }],
] as const) {
  for (const where of ['while its process runs', 'while its process waits at the gate'])
    test(`kill -9 of a shim ${where} as ${who} kills the process`, async () => {
      const launched = ground.launch(choice);
      launched.connection.commit(where.endsWith('runs'));
      const { pid, shimPid } = await launched.connection.created;
      if (where.endsWith('runs')) await launched.connection.started;
      process.kill(shimPid, 'SIGKILL');
      await assert.rejects(launched.connection.exited, ShimGone);
      await until(() => !isAlive(pid), 'the process lives on');
      assert.equal(readExitFile(launched.runFolder), undefined);
      // What the server does when a shim is gone.
      await reapCgroup(ground.layout, launched.cgroupPath);
      launched.connection.close();
    });

  test(`kill -9 of the shim of an additional process of ${who} kills that process alone`, async () => {
    const container = ground.start(SLEEP);
    await container.connection.started;
    const { connection, stdio } = await ground.exec(container, {
      args: ['sleep', '1000'],
      credentials: choice.user ?? { uid: 0, gid: 0, groups: [], home: '/' },
    });
    const { pid, shimPid } = await connection.created;
    await connection.started;
    process.kill(shimPid, 'SIGKILL');
    await assert.rejects(connection.exited, ShimGone);
    await until(() => !isAlive(pid), 'the process lives on');
    await container.connection.request(REQUEST.status);
    assert.ok(isAlive((await container.connection.created).pid));
    connection.close();
    stdio.close();
    await end(container);
  });
}

test('the pid that an additional process is told by is its own', async () => {
  const container = ground.start(SLEEP);
  await container.connection.started;
  const { connection, stdio, runFolder } = await ground.exec(container, { args: ['sleep', '1000'] });
  const { pid, shimPid } = await connection.created;
  await connection.started;
  assert.deepEqual(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), 'sleep\x001000\0');
  assert.match(readFileSync(join(runFolder, 'state'), 'utf8'), new RegExp(`^init_pid ${pid}$`, 'm'));
  assert.ok(listProcesses().some((entry) => entry.pid === pid && entry.parent === shimPid));
  await end({ connection });
  stdio.close();
  await end(container);
});

test('kill -9 of the process is the end of the run, and is recorded', async () => {
  const container = ground.start(SLEEP);
  const { pid } = await container.connection.created;
  process.kill(pid, 'SIGKILL');
  assert.deepEqual((await container.connection.exited).signal, SIGKILL);
  assert.equal(readExitFile(container.runFolder)?.exitStatus, 137);
  container.connection.close();
});

test('kill -9 of the zygote: shims live, the next launch makes another', async () => {
  const zygote = ground.newZygote();
  const first = ground.start(
    { config: { args: ['sh', '-c', 'read x; echo "got $x"; exit 3'], openStdin: true } },
    zygote,
  );
  await first.connection.started;
  const { pid } = zygote;
  assert.ok(pid !== undefined);
  process.kill(pid, 'SIGKILL');
  await until(() => !isAlive(pid), 'the zygote lives on');
  await first.connection.request(REQUEST.status);
  const second = ground.start({ config: { args: ['sh', '-c', 'exit 4'] } }, zygote);
  assert.equal((await second.connection.exited).exitStatus, 4);
  assert.notEqual(zygote.pid, pid);
  const client = await ground.attach(first, { stdin: true });
  const output = collect(client.output());
  await client.write(Buffer.from('word\n'));
  assert.equal((await first.connection.exited).exitStatus, 3);
  assert.equal((await output).stdout.toString(), 'got word\n');
  first.connection.close();
  second.connection.close();
  zygote.close();
});

test('a zygote that is closed ends, and its shims do not', async () => {
  const zygote = ground.newZygote();
  const container = ground.start(SLEEP, zygote);
  await container.connection.started;
  const { pid } = zygote;
  zygote.close();
  await until(() => pid !== undefined && !isAlive(pid), 'the zygote lives on');
  await end(container);
});

test('launches on their way when the zygote dies are told, and the others are whole', async () => {
  const zygote = ground.newZygote();
  const launched: Launched[] = [];
  for (let i = 0; i < 10; i++) {
    launched.push(ground.start({ config: { args: ['sh', '-c', 'exit 5'] } }, zygote));
    if (i === 5 && zygote.pid !== undefined) process.kill(zygote.pid, 'SIGKILL');
  }
  for (const { connection } of launched) {
    const result = await connection.exited.catch((error: unknown) => error);
    if (result instanceof ShimGone) continue;
    assert.deepEqual((result as { exitStatus: number }).exitStatus, 5);
  }
  for (const { connection, cgroupPath } of launched) {
    connection.close();
    await reapCgroup(ground.layout, cgroupPath);
  }
  zygote.close();
});

test('a stopped shim is noticed, answers late, and loses nothing', async () => {
  const container = ground.start({
    config: { args: ['sh', '-c', 'echo one; read x; echo two; exit 6'], openStdin: true },
  });
  await container.connection.started;
  const { shimPid, pid } = await container.connection.created;
  const client = await ground.attach(container, { stdin: true });
  const output = collect(client.output());
  process.kill(shimPid, 'SIGSTOP');
  await client.write(Buffer.from('\n'));
  await assert.rejects(container.connection.request(REQUEST.status, 0, 0, 100), {
    reason: 'SHIM_NOT_RESPONDING',
  });
  assert.ok(isAlive(pid));
  process.kill(shimPid, 'SIGCONT');
  assert.equal((await container.connection.exited).exitStatus, 6);
  assert.equal((await output).stdout.toString(), 'one\ntwo\n');
  container.connection.close();
});

test('a later server finds a run by its control socket and hears its end', async () => {
  const container = ground.start({ config: { args: ['sh', '-c', 'read x; exit 8'], openStdin: true } });
  const created = await container.connection.created;
  container.connection.close();
  await sleep(20);
  const later = new ShimConnection(await connectInFolder(container.runFolder, 'control'), true);
  assert.deepEqual(await later.created, created);
  await later.started;
  await later.request(REQUEST.closeStdin);
  assert.deepEqual([(await later.exited).exitStatus, (await later.exited).recorded], [8, true]);
  later.close();
});

test('when a run is over its sockets and its state are gone and its record stays', async () => {
  const container = ground.start({});
  await container.connection.exited;
  assert.deepEqual(readdirSync(container.runFolder), ['exit']);
  assert.ok(!existsSync(join(container.runFolder, 'control')));
  container.connection.close();
});

test('processes that the container leaves behind die with it', async () => {
  const container = ground.start({
    config: { args: ['sh', '-c', 'for i in 1 2 3 4 5; do setsid sleep 1000 & done; sleep 0.05; exit 9'] },
  });
  assert.equal((await container.connection.exited).exitStatus, 9);
  assert.ok(!listProcesses().some(({ command, state }) => command === 'sleep 1000' && state !== 'Z'));
  container.connection.close();
});

test('what an additional process leaves behind goes on, and dies with the container', async () => {
  const container = ground.start(SLEEP);
  await container.connection.started;
  const { connection, stdio } = await ground.exec(container, {
    args: ['sh', '-c', 'setsid sleep 999 & exit 0'],
  });
  assert.equal((await connection.exited).exitStatus, 0);
  connection.close();
  stdio.close();
  const isThere = (): boolean =>
    listProcesses().some(({ command, state }) => command === 'sleep 999' && state !== 'Z');
  // It may still be on its way to its program.
  await until(isThere, 'it is gone');
  await end(container);
  assert.ok(!isThere());
});

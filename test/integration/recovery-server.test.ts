/**
 * The server dies or is stopped while containers run: they and their logs go on, the next server finds them,
 * and what ended meanwhile is told right.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Host, startHost } from '../harness/host.ts';
import {
  api,
  checkClean,
  checkRules,
  create,
  descriptorsOf,
  dispose,
  FOREVER,
  isAlive,
  kill,
  list,
  look,
  remove,
  run,
  start,
  statusOf,
  told,
  wait,
} from './deaths-ground.ts';
import { outputOf, until, untilLogged } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => checkClean(host));
after(() => dispose(host));

/** Prints 1, 2, 3 … every 10 ms or so. */
const COUNTER = 'i=0; while :; do i=$((i+1)); echo $i; usleep 10000; done';

/** The numbers of a counter must follow each other. @returns the last one. */
function lastOf(lines: readonly string[], first = 1): number {
  lines.forEach((line, index) => {
    assert.equal(line, String(index + first), `line ${index + 1} of ${lines.length}`);
  });
  return lines.length + first - 1;
}

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

test('SIGKILL to the server: a container and its log go on without a gap', async () => {
  const id = await run(host, COUNTER, { name: 'web' });
  const before = await look(host, id);
  const following = host.spawn(['logs', '-f', 'web']);
  const followed = outputOf(following);
  await until(followed, (text) => text !== '');
  for (let death = 0; death < 3; death++) {
    await sleep(150);
    await host.kill9();
    await sleep(150);
    await host.start();
  }
  const now = await look(host, id);
  assert.deepEqual([now?.run?.pid, now?.run?.runId], [before?.run?.pid, before?.run?.runId]);
  assert.equal(now?.run?.shimPid, before?.run?.shimPid);
  assert.ok(lastOf(linesOf(await host.ok(['logs', 'web']))) > 30);
  lastOf(linesOf(followed().slice(0, followed().lastIndexOf('\n'))));
  await until(
    () => following.exitCode,
    (code) => code !== null,
  );
  assert.notEqual(following.exitCode, 0, 'a follower learns that its server died');
});

test('a new server executes, attaches, follows and stops as the one before it would', async () => {
  await run(host, `trap 'echo bye; exit 3' TERM; ${COUNTER}`, { name: 'web' });
  await run(host, 'while read line; do echo got $line; done; echo end of input', {
    name: 'echo',
    stdin: true,
  });
  await host.kill9();
  await host.start();
  assert.equal(await host.ok(['exec', 'web', 'sh', '-c', 'echo in; exit 0']), 'in');
  assert.equal((await host.cli(['exec', 'web', 'sh', '-c', 'exit 9'])).code, 9);
  const attached = host.spawn(['attach', 'echo']);
  const output = outputOf(attached);
  attached.stdin?.write('hello\n');
  await until(output, (text) => text.includes('got hello'));
  attached.kill('SIGKILL');
  const following = host.cli(['logs', '-f', 'web']);
  await sleep(200);
  assert.equal((await host.cli(['stop', 'web'])).code, 0);
  const { code, stdout } = await following;
  assert.equal(code, 0);
  const lines = linesOf(stdout);
  assert.equal(lines.pop(), 'bye');
  lastOf(lines);
  assert.equal(told((await look(host, 'web'))?.exit), 'exited 3 signal 0');
});

test('ends that no server saw are told right by the next one', async () => {
  // Each goes on when it is told to, which is when the server is dead.
  const waiting = (then: string): string => `trap '${then}' USR1; echo waits; while :; do usleep 20000; done`;
  await run(host, waiting('echo last words; exit 7'), { name: 'exits' });
  await run(host, FOREVER, { name: 'killed' });
  await run(host, waiting('x=$(yes | head -c 40000000 | tr -d "\\n"); echo $x | wc -c'), {
    name: 'hungry',
    memoryLimitBytes: 16n << 20n,
  });
  await run(host, waiting('exit 0'), { name: 'goes', autoRemove: true });
  for (const name of ['exits', 'hungry', 'goes']) await untilLogged(host, name, /waits/);
  const watched = api(host)
    .tasks.waitTask({ container: 'exits' })
    .catch((error: Error) => error);
  const names = ['exits', 'killed', 'hungry', 'goes'];
  const pids = await Promise.all(names.map(async (name) => (await look(host, name))?.run?.pid ?? 0));
  await host.kill9();
  assert.ok((await watched) instanceof Error, 'who waited is told that the server died');
  for (const pid of pids) process.kill(pid, pid === pids[1] ? 'SIGKILL' : 'SIGUSR1');
  const endedAt = Date.now();
  await until(
    () => pids.filter(isAlive),
    (alive) => alive.length === 0,
  );
  await sleep(500);
  await host.start();
  assert.equal(await statusOf(host, 'goes'), 'gone');
  assert.equal(told(await wait(host, 'exits')), 'exited 7 signal 0');
  assert.equal(told(await wait(host, 'killed')), 'exited 137 signal 9');
  assert.equal(told(await wait(host, 'hungry')), 'exited 137 signal 9 oom');
  assert.equal(await host.ok(['logs', 'exits']), 'waits\nlast words');
  const { exitedAt } = await wait(host, 'killed');
  const seconds = Number(exitedAt?.seconds ?? 0) - endedAt / 1000;
  assert.ok(Math.abs(seconds) < 2, 'the time is that of the end, not of its discovery');
  await checkRules(host);
});

test('additional processes survive their server', async () => {
  const id = await run(host, FOREVER);
  const { run: first } = await api(host).tasks.execTask({
    container: id,
    process: { args: ['sleep', '1000'] },
  });
  const { run: second } = await api(host).tasks.execTask({
    container: id,
    process: { args: ['sleep', '0.3'] },
  });
  await host.kill9();
  await until(
    () => isAlive(second?.pid ?? 0),
    (alive) => !alive,
  );
  await host.start();
  const execs = (await api(host).tasks.getTask({ container: id })).task?.execs ?? [];
  assert.deepEqual(
    execs.map((exec) => exec.run?.runId),
    [first?.runId],
  );
  await api(host).tasks.killTask({ container: id, runId: first?.runId ?? '', signal: 'TERM' });
  const { exit } = await api(host).tasks.waitTask({ container: id, runId: first?.runId ?? '' });
  assert.equal(told(exit), 'exited 143 signal 15');
  await checkRules(host);
});

test('a container that waits at its gate waits for the next server too', async () => {
  const id = await create(host, 'echo begun; exit 5');
  await api(host).tasks.createTask({ container: id });
  await host.kill9();
  await host.start();
  assert.equal(await statusOf(host, id), 'created');
  assert.equal(await host.ok(['logs', id]), '');
  await start(host, id);
  assert.equal(told(await wait(host, id)), 'exited 5 signal 0');
  assert.equal(await host.ok(['logs', id]), 'begun');
});

test('SIGTERM stops the server in good order; containers run on', async () => {
  const id = await run(host, COUNTER);
  const following = host.cli(['logs', '-f', id]);
  const waiting = host.cli(['wait', id]);
  const attached = host.cli(['attach', id]);
  await sleep(300);
  const began = Date.now();
  assert.equal(await host.stop(), 0);
  assert.ok(Date.now() - began < 3000, 'clients that follow do not hold it');
  for (const client of [following, waiting, attached]) assert.notEqual((await client).code, 0);
  assert.ok(!/"level":"(error|fatal)"/.test(host.log), host.log);
  await host.start();
  assert.equal(await statusOf(host, id), 'running');
  lastOf(linesOf(await host.ok(['logs', id])));
  await checkRules(host);
});

test('many restarts leave nothing in shims', async () => {
  const id = await run(host, FOREVER);
  const shim = (await look(host, id))?.run?.shimPid ?? 0;
  const before = descriptorsOf(shim).length;
  for (let death = 0; death < 10; death++) {
    await host.kill9();
    await host.start();
  }
  assert.equal(await host.ok(['exec', id, 'echo', 'alive']), 'alive');
  assert.ok(descriptorsOf(shim).length <= before, descriptorsOf(shim).join('\n'));
});

test('100 containers are found again in a moment', async () => {
  const ids = await Promise.all(Array.from({ length: 100 }, () => run(host, FOREVER)));
  await host.kill9();
  const began = Date.now();
  await host.start();
  const tookMs = Date.now() - began;
  assert.ok(tookMs < 5000, `${tookMs} ms`);
  assert.equal((await list(host)).filter(({ status }) => status === 'running').length, ids.length);
  await checkRules(host);
  await Promise.all(ids.map((id) => kill(host, id)));
  for (const id of ids) assert.equal(told(await wait(host, id)), 'exited 137 signal 9');
  await Promise.all(ids.map((id) => remove(host, id, false)));
});

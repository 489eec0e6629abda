/**
 * Slowness at each durable step while somebody else ends, starts or removes the same container: one of them
 * wins, the other is told why not, and nothing is left between them.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Host, startHost } from '../harness/host.ts';
import {
  api,
  checkClean,
  checkRules,
  codeOf,
  create,
  dispose,
  FOREVER,
  kill,
  list,
  look,
  pointsOf,
  remove,
  run,
  start,
  statusOf,
  told,
  wait,
} from './deaths-ground.ts';
import { busyboxAnd, until } from './ground.ts';

const DELAY_MS = 200;
/** Somewhere inside of the delay. */
const WITHIN_MS = 80;

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'], armable: true });
});
afterEach(() => checkClean(host));
after(() => dispose(host));

/** Every point is slow once; `skip` passages of each are not. */
const slow = (points: readonly string[], skip = 0): string =>
  points.map((point) => `${point}=${skip > 0 ? `${skip}*off->` : ''}1*delay(${DELAY_MS})`).join(';');

/** Asks twice at once, the second a little later. @returns the code of each refusal, `''` where there was none. */
async function both(
  first: () => Promise<unknown>,
  second: () => Promise<unknown>,
  afterMs: number = WITHIN_MS,
): Promise<[string, string]> {
  const outcome = (promise: Promise<unknown>): Promise<string> => promise.then(() => '', codeOf);
  const one = outcome(first());
  await sleep(afterMs);
  return await Promise.all([one, outcome(second())]);
}

/** Signals again and again until the other one is done. */
async function killUntil(container: string, done: Promise<unknown>): Promise<void> {
  let over = false;
  const finished = done.then(
    () => (over = true),
    () => (over = true),
  );
  while (!over) {
    await kill(host, container).catch((error: unknown) =>
      assert.match(codeOf(error), /^(FAILED_PRECONDITION|NOT_FOUND|UNAVAILABLE)$/),
    );
    await Promise.race([finished, sleep(10)]);
  }
}

test('a start is killed at each of its steps', async () => {
  const points = pointsOf('start').filter((point) => point !== 'start.gate');
  host.arm(slow(points));
  for (let attempt = 0; attempt < points.length; attempt++) {
    const id = await create(host, FOREVER, { name: 'web' });
    const starting = start(host, id);
    await killUntil(id, starting);
    const refusal = await starting.then(() => '', codeOf);
    assert.match(refusal, /^(|FAILED_PRECONDITION|ABORTED)$/);
    // Started and then killed, killed before it began, or too late to be killed.
    if ((await statusOf(host, id)) === 'running') await kill(host, id);
    await until(
      () => statusOf(host, id),
      (status) => status === 'stopped' || status === 'created',
    );
    await checkRules(host);
    await start(host, id);
    await remove(host, id);
  }
});

test('a start is cancelled at each of its steps', async () => {
  const points = pointsOf('start').filter((point) => point !== 'start.gate');
  for (const point of points) {
    host.arm(slow([point]));
    const id = await create(host, FOREVER, { name: 'web' });
    const deadline = Date.now() + WITHIN_MS;
    assert.equal(
      await api(host).tasks.startTask({ container: id }, { deadline }).catch(codeOf),
      'DEADLINE_EXCEEDED',
    );
    // Behind the cancelled one in the queue.
    await start(host, id).catch((error: unknown) => assert.match(codeOf(error), /^(FAILED_PRECONDITION)$/));
    assert.match(await statusOf(host, id), /^(running|stopped)$/);
    await checkRules(host);
    await remove(host, id);
  }
});

test('a container is removed at each step of its start', async () => {
  const points = pointsOf('start').filter((point) => point !== 'start.gate');
  host.arm(slow(points));
  for (let attempt = 0; attempt < points.length; attempt++) {
    const id = await create(host, FOREVER, { name: 'web' });
    const [started, removed] = await both(
      () => start(host, id),
      () => remove(host, id),
    );
    assert.match(started, /^(|FAILED_PRECONDITION|ABORTED|NOT_FOUND)$/);
    assert.equal(removed, '');
    await checkRules(host);
  }
});

test('two starts at once: one of them wins', async () => {
  const points = pointsOf('start').filter((point) => point !== 'start.gate');
  host.arm(slow(points));
  const id = await create(host, FOREVER);
  const outcomes = await both(
    () => start(host, id),
    () => start(host, id),
  );
  assert.deepEqual(outcomes, ['', 'FAILED_PRECONDITION']);
  await checkRules(host);
});

test('two want one name at each step of create', async () => {
  const points = pointsOf('create');
  host.arm(slow(points));
  for (let attempt = 0; attempt < points.length; attempt++) {
    const outcomes = await both(
      () => create(host, FOREVER, { name: 'web' }),
      () => create(host, FOREVER, { name: 'web' }),
      WITHIN_MS / 2,
    );
    assert.deepEqual(outcomes.toSorted(), ['', 'ALREADY_EXISTS']);
    await checkRules(host);
    await remove(host, 'web');
  }
});

test('an exec whose container is killed at each of its steps', async () => {
  const points = pointsOf('exec');
  for (const point of points) {
    host.arm(slow([point]));
    const id = await run(host, FOREVER);
    const [executed] = await both(
      () => api(host).tasks.execTask({ container: id, process: { args: ['sleep', '1000'] } }),
      () => kill(host, id),
    );
    assert.match(
      executed,
      point === 'exec.begin' ? /^FAILED_PRECONDITION$/ : /^(|FAILED_PRECONDITION|ABORTED)$/,
    );
    assert.equal(told(await wait(host, id)), 'exited 137 signal 9');
    await checkRules(host);
    await remove(host, id);
  }
});

test('a stop meets a kill, and a kill a stop', async () => {
  for (const point of [...pointsOf('stop'), ...pointsOf('kill')]) {
    host.arm(slow([point]));
    const id = await run(host, FOREVER);
    const stop = (): Promise<unknown> => api(host).tasks.stopTask({ container: id, timeoutMs: 0 });
    const first = point.startsWith('stop');
    const outcomes = first ? await both(stop, () => kill(host, id)) : await both(() => kill(host, id), stop);
    // Whoever comes too late to send a signal says so; stop only wants it to be over.
    assert.match(
      outcomes.join(),
      first ? /^,(FAILED_PRECONDITION|UNAVAILABLE)?$/ : /^(FAILED_PRECONDITION|UNAVAILABLE)?,$/,
    );
    assert.equal(told(await wait(host, id)), 'exited 137 signal 9');
    await checkRules(host);
    await remove(host, id);
  }
});

test('the end of a run is slow to be recorded while it is started, stopped and removed', async () => {
  for (const point of pointsOf('exit')) {
    host.arm(slow([point]));
    const id = await run(host, 'exit 7');
    await sleep(WITHIN_MS);
    const again = start(host, id).catch(codeOf);
    await api(host).tasks.stopTask({ container: id, timeoutMs: 0 });
    const refusal = String(await again);
    assert.match(refusal, /^(undefined|FAILED_PRECONDITION|ABORTED)$/);
    await until(
      () => statusOf(host, id),
      (status) => status === 'stopped',
    );
    // The end that was slow, or that of the start which the stop met.
    const met =
      refusal === 'undefined' ? /^exited (7 signal 0|137 signal 9)$/ : /^(exited 7 signal 0|failed 125)/;
    assert.match(told((await look(host, id))?.exit), met);
    await remove(host, id, false);
    await checkRules(host);
  }
});

test('a container that was to go and could not run is gone when its client ends, slow as its end may be', async () => {
  host.arm(slow(pointsOf('exit')));
  const { code, stderr } = await host.cli(['run', '--rm', 'busybox', '/etc/passwd']);
  assert.equal(code, 126, stderr);
  assert.deepEqual(await list(host), []);
});

test('a removal meets a start and another removal', async () => {
  for (const point of pointsOf('delete')) {
    host.arm(slow([point]));
    const id = await create(host, FOREVER, { name: 'web' });
    const removing = remove(host, id);
    const [started, removed] = await both(
      () => start(host, id),
      () => remove(host, id),
    );
    await removing;
    assert.equal(started, 'NOT_FOUND');
    assert.match(removed, /^(|NOT_FOUND)$/);
    assert.equal(await statusOf(host, 'web'), 'gone');
    await checkRules(host);
  }
});

test('two imports of the same thing at once, and one that is cancelled at each step', async () => {
  const points = pointsOf('import');
  host.arm(slow(points));
  const stdin = await busyboxAnd([{ name: 'another-layer', data: 'x' }]);
  const importIt = async (): Promise<string> => await host.ok(['import', '-', 'other'], { stdin });
  const [one, two] = await Promise.all([importIt(), importIt()]);
  assert.notEqual(one, '');
  assert.notEqual(two, '');
  assert.equal(await host.ok(['run', '--rm', 'other', 'cat', '/another-layer']), 'x');
  for (const id of new Set([one, two])) await host.ok(['rmi', '-f', id]);
});

test('a process that ends while the server recovers it', async () => {
  for (const point of pointsOf('recover')) {
    const id = await run(host, FOREVER, { name: 'web' });
    const pid = (await look(host, id))?.run?.pid ?? 0;
    await host.kill9();
    const up = host.start({ env: { MYDOCKER_FAILPOINTS: `${point}=1*delay(400)` } });
    await sleep(400);
    process.kill(pid, 'SIGKILL');
    await up;
    assert.equal(told(await wait(host, id)), 'exited 137 signal 9');
    await checkRules(host);
    await remove(host, id);
  }
});

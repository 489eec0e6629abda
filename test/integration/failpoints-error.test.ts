/**
 * An error at each durable step: the operation says so, leaves the container in a legal state and nothing
 * unknown behind, and the next attempt works. One server has every point of an operation armed for one error,
 * so that each attempt must fail at the next point: a point that the operation never passes is found too.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { checkContent } from './content-rules.ts';
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
  removeAll,
  run,
  start,
  statusOf,
  told,
  wait,
} from './deaths-ground.ts';
import { busyboxAnd, until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'], armable: true });
});
afterEach(() => checkClean(host));
after(() => dispose(host));

/** Every point fails once. */
const armed = (points: readonly string[]): string =>
  points.map((point) => `${point}=1*error(told to fail at ${point})`).join(';');

/**
 * Attempts an operation until it succeeds.
 * @param attempt - is repeated as it is.
 * @param settle - what holds after each failure at a point.
 */
async function failAtEach(
  points: readonly string[],
  attempt: () => Promise<unknown>,
  settle: (point: string) => Promise<void>,
): Promise<void> {
  for (const point of points) {
    await assert.rejects(attempt, (error: Error) => {
      assert.match(error.message, new RegExp(`told to fail at ${point}`));
      return true;
    });
    await settle(point);
    await checkRules(host);
  }
  await attempt();
}

test('create', async () => {
  const points = pointsOf('create');
  host.arm(armed(points));
  await failAtEach(
    points,
    () => create(host, FOREVER, { name: 'web' }),
    async (point) => {
      const made = point === 'create.done';
      assert.equal(await statusOf(host, 'web'), made ? 'created' : 'gone');
      // The name is free again, by itself or after rm.
      if (made) await remove(host, 'web');
    },
  );
  await start(host, 'web');
  await removeAll(host);
});

test('start', async () => {
  const points = pointsOf('start').filter((point) => point !== 'start.gate');
  host.arm(armed(points));
  const id = await create(host, FOREVER, { name: 'web' });
  await failAtEach(
    points,
    () => start(host, id),
    async () => assert.equal(await statusOf(host, id), 'created'),
  );
  assert.equal(await statusOf(host, id), 'running');
  assert.equal((await look(host, id))?.exit?.exitStatus, 125, 'the last failure is told');
  await removeAll(host);
});

test('start again after a run', async () => {
  const points = pointsOf('start').filter((point) => point !== 'start.gate');
  const id = await run(host, 'echo run; exit 4');
  assert.equal(told(await wait(host, id)), 'exited 4 signal 0');
  host.arm(armed(points));
  await failAtEach(
    points,
    () => start(host, id),
    async () => assert.equal(await statusOf(host, id), 'stopped'),
  );
  assert.equal(told(await wait(host, id)), 'exited 4 signal 0');
  assert.match(await host.ok(['logs', id]), /^run\n(run\n)*run$/, 'the log of all runs goes on');
  await removeAll(host);
});

test('start of a container that waits at its gate', async () => {
  host.arm(armed(['start.gate']));
  const id = await create(host, FOREVER);
  await api(host).tasks.createTask({ container: id });
  await assert.rejects(start(host, id), /told to fail at start.gate/);
  await start(host, id);
  assert.equal(await statusOf(host, id), 'running');
  await removeAll(host);
});

test('start with --rm removes the container', async () => {
  host.arm(armed(['start.commit']));
  const id = await create(host, FOREVER, { autoRemove: true });
  await assert.rejects(start(host, id), /told to fail at start.commit/);
  await until(
    () => statusOf(host, id),
    (status) => status === 'gone',
  );
});

test('exec', async () => {
  const points = pointsOf('exec');
  host.arm(armed(points));
  const id = await run(host, FOREVER);
  await failAtEach(
    points,
    () => api(host).tasks.execTask({ container: id, process: { args: ['sleep', '1000'] } }),
    async () => {
      assert.equal(await statusOf(host, id), 'running');
      await until(
        async () => (await api(host).tasks.getTask({ container: id })).task?.execs.length,
        (execs) => execs === 0,
      );
    },
  );
  await removeAll(host);
});

test('kill and stop', async () => {
  const points = [...pointsOf('kill'), ...pointsOf('stop')];
  host.arm(armed(points));
  const id = await run(host, FOREVER);
  await assert.rejects(kill(host, id), /told to fail at kill.begin/);
  for (const point of pointsOf('stop')) {
    await assert.rejects(api(host).tasks.stopTask({ container: id, timeoutMs: 0 }), new RegExp(point));
    assert.equal(await statusOf(host, id), 'running');
  }
  const { exit } = await api(host).tasks.stopTask({ container: id, timeoutMs: 0 });
  assert.equal(told(exit), 'exited 137 signal 9');
  await removeAll(host);
});

test('the end of a run is recorded in spite of errors, and --rm holds', async () => {
  const points = [...pointsOf('exit'), 'delete.begin', 'delete.put', 'delete.done'];
  for (const autoRemove of [false, true]) {
    host.arm(armed(points));
    const id = await run(host, 'exit 7', { autoRemove });
    const waited = await wait(host, id).catch(codeOf);
    if (waited !== 'NOT_FOUND') assert.equal(told(waited as never), 'exited 7 signal 0');
    await until(
      () => statusOf(host, id),
      (status) => status === (autoRemove ? 'gone' : 'stopped'),
    );
    if (!autoRemove) assert.equal(told((await look(host, id))?.exit), 'exited 7 signal 0');
    await host.restart();
    await checkRules(host);
    await removeAll(host);
  }
});

test('remove', async () => {
  for (const point of pointsOf('delete')) {
    host.arm(armed([point]));
    const id = await create(host, FOREVER, { name: 'web' });
    const failed = await remove(host, id).then(
      () => undefined,
      (error: Error) => error,
    );
    const isFirst = point === 'delete.begin';
    if (isFirst) assert.match(failed?.message ?? '', /told to fail at delete.begin/);
    assert.equal(await statusOf(host, id), isFirst ? 'created' : 'gone');
    // The name is free at once; files that were not removed go with the next start at the latest.
    if (isFirst) await remove(host, id);
    const next = await create(host, FOREVER, { name: 'web' });
    await host.restart();
    await checkRules(host);
    await remove(host, next);
  }
});

test('import', async () => {
  const points = pointsOf('import');
  host.arm(armed(points));
  const stdin = await busyboxAnd([{ name: 'another-layer', data: String(Math.random()) }]);
  const layers = async (): Promise<string> => JSON.stringify([await host.ok(['images', '-q'])]);
  const before = await layers();
  for (const point of points) {
    const { code, stderr } = await host.cli(['import', '-', 'other'], { stdin });
    assert.equal(code, 125, stderr);
    assert.match(stderr, new RegExp(`told to fail at ${point}`));
    assert.equal(await layers(), before);
  }
  await host.ok(['import', '-', 'other'], { stdin });
  assert.equal(await host.ok(['run', '--rm', 'other', 'ls', '/another-layer']), '/another-layer');
  await host.ok(['rmi', 'other']);
});

test('image removal', async () => {
  const [begin, put] = pointsOf('remove-image') as [string, string];
  const collect = pointsOf('collect');
  const once = collect.map((point) => `${point}=1*error(told to fail at ${point})`);
  host.arm([armed([begin, put]), ...once].join(';'));
  const make = async (name: string): Promise<void> => {
    const stdin = await busyboxAnd([{ name: 'going', data: name }]);
    await host.ok(['import', '-', name], { stdin });
  };
  const remove = (image: string): Promise<unknown> => api(host).images.removeImage({ image });
  await make('first');
  await assert.rejects(remove('first'), new RegExp(`told to fail at ${begin}`));
  // It is gone by then; what goes behind an answer fails once at each of its points.
  await assert.rejects(remove('first'), new RegExp(`told to fail at ${put}`));
  assert.equal(await host.ok(['images', '-q', 'first']), '');
  for (const point of collect) {
    await until(
      () => host.log,
      (log) => log.includes(`told to fail at ${point}`),
    );
    await make('next');
    await remove('next');
  }
  // Without a new start, which would sweep.
  await checkContent(host);
});

test('a server that cannot recover says so; one container that cannot is tried again', async () => {
  const running = await run(host, FOREVER);
  const ended = await run(host, 'sleep 0.3; exit 7');
  await host.kill9();
  for (const point of ['recover.begin', 'recover.sweep']) {
    await assert.rejects(
      host.start({ env: { MYDOCKER_FAILPOINTS: armed([point]) } }),
      new RegExp(`told to fail at ${point}`),
    );
  }
  await host.start({ env: { MYDOCKER_FAILPOINTS: 'recover.container=2*error' } });
  await until(
    async () => (await list(host)).map(({ status }) => status).toSorted(),
    (statuses) => statuses.join() === 'running,stopped',
  );
  await checkRules(host);
  assert.equal(told(await wait(host, ended)), 'exited 7 signal 0');
  await until(
    () => kill(host, running).then(() => '', codeOf),
    (refusal) => {
      assert.match(refusal, /^(UNAVAILABLE)?$/);
      return refusal === '';
    },
  );
  assert.equal(told(await wait(host, running)), 'exited 137 signal 9');
  await removeAll(host);
});

/**
 * SIGKILL to the server at each durable step: the next server finds the container in one legal state with
 * nothing unknown left, and what was asked for succeeds when it is asked for again.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { rawTar } from '../fixtures/raw-tar.ts';
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
  isAlive,
  kill,
  launcherWaits,
  look,
  pointsOf,
  remove,
  removeAll,
  run,
  start,
  startWith,
  statusOf,
  told,
  untilDead,
  wait,
} from './deaths-ground.ts';
import { busyboxAnd, until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'], armable: true });
});
afterEach(() => checkClean(host));
after(() => dispose(host));

/** The server dies at a point while something is asked of it, and another one takes its place. */
async function dieAt(
  point: string,
  prepare: () => Promise<unknown>,
  ask: () => Promise<unknown>,
): Promise<void> {
  await prepare();
  await die(point, ask);
  await host.start();
}

async function die(point: string, ask: () => Promise<unknown>): Promise<void> {
  host.arm(`${point}=exit`);
  const asked = ask().catch(() => undefined);
  await untilDead(host);
  await asked;
}

/** Whatever state it is in, it can be used from there. */
async function useAndRemove(name: string): Promise<void> {
  const status = await statusOf(host, name);
  if (status === 'created' || status === 'stopped') await start(host, name);
  await kill(host, name);
  assert.equal(told(await wait(host, name)), 'exited 137 signal 9');
  await remove(host, name);
  assert.equal(await statusOf(host, name), 'gone');
}

describe('create', () => {
  for (const point of pointsOf('create'))
    test(point, async () => {
      await dieAt(
        point,
        async () => undefined,
        () => create(host, FOREVER, { name: 'web' }),
      );
      await checkRules(host);
      const status = await statusOf(host, 'web');
      assert.equal(status, point === 'create.done' ? 'created' : 'gone');
      if (status === 'gone') await create(host, FOREVER, { name: 'web' });
      await useAndRemove('web');
    });
});

describe('start', () => {
  for (const point of pointsOf('start'))
    test(point, async () => {
      await dieAt(
        point,
        async () => {
          // With a launcher; network-deaths.test.ts starts without one.
          await launcherWaits(host);
          await create(host, FOREVER, { name: 'web' });
        },
        async () => {
          if (point === 'start.gate') await api(host).tasks.createTask({ container: 'web' });
          await start(host, 'web');
        },
      );
      const status = await statusOf(host, 'web');
      // From the commit on the shim goes on by itself.
      const begun = ['start.commit', 'start.created', 'start.started', 'start.put-running'].includes(point);
      assert.equal(status, begun ? 'running' : 'created');
      // One that waits at its gate has a shim and a cgroup all the same.
      if (point === 'start.gate') await start(host, 'web');
      await checkRules(host);
      await useAndRemove('web');
    });
});

describe('exit', () => {
  for (const point of pointsOf('exit'))
    test(point, async () => {
      for (const autoRemove of [false, true]) {
        await dieAt(
          point,
          () => create(host, 'exit 7', { name: 'web', autoRemove }),
          async () => {
            await start(host, 'web');
            await wait(host, 'web');
          },
        );
        await until(
          () => statusOf(host, 'web'),
          (status) => status === (autoRemove ? 'gone' : 'stopped'),
        );
        await checkRules(host);
        if (autoRemove) continue;
        assert.equal(told((await look(host, 'web'))?.exit), 'exited 7 signal 0');
        await start(host, 'web');
        assert.equal(told(await wait(host, 'web')), 'exited 7 signal 0');
        await remove(host, 'web', false);
      }
    });
});

describe('exec', () => {
  for (const point of pointsOf('exec'))
    test(point, async () => {
      await dieAt(
        point,
        () => run(host, FOREVER, { name: 'web' }),
        () => api(host).tasks.execTask({ container: 'web', process: { args: ['sleep', '1000'] } }),
      );
      assert.equal(await statusOf(host, 'web'), 'running');
      // One that was committed goes on and is known; of any other one nothing is left.
      const execs = (await api(host).tasks.getTask({ container: 'web' })).task?.execs ?? [];
      assert.equal(execs.length, point === 'exec.begin' ? 0 : 1);
      for (const { run: exec } of execs)
        await api(host).tasks.killTask({ container: 'web', runId: exec?.runId ?? '', signal: 'KILL' });
      await checkRules(host);
      assert.equal(await host.ok(['exec', 'web', 'echo', 'again']), 'again');
      await useAndRemove('web');
    });
});

describe('kill and stop', () => {
  for (const point of [...pointsOf('kill'), ...pointsOf('stop')])
    test(point, async () => {
      await dieAt(
        point,
        () => run(host, FOREVER, { name: 'web' }),
        () =>
          point.startsWith('kill')
            ? kill(host, 'web')
            : api(host).tasks.stopTask({ container: 'web', signal: 'KILL', timeoutMs: 100 }),
      );
      await until(
        () => statusOf(host, 'web'),
        (status) => status === (point === 'stop.signalled' ? 'stopped' : 'running'),
      );
      await checkRules(host);
      await useAndRemove('web');
    });
});

describe('remove', () => {
  for (const point of pointsOf('delete'))
    test(point, async () => {
      await dieAt(
        point,
        () => create(host, FOREVER, { name: 'web' }),
        () => remove(host, 'web'),
      );
      await checkRules(host);
      const status = await statusOf(host, 'web');
      assert.equal(status, point === 'delete.begin' ? 'created' : 'gone');
      if (status === 'gone') await create(host, FOREVER, { name: 'web' });
      await useAndRemove('web');
    });

  test('--rm that its server did not live to see', async () => {
    for (const point of pointsOf('delete')) {
      await dieAt(
        point,
        () => create(host, 'exit 7', { name: 'web', autoRemove: true }),
        () => start(host, 'web'),
      );
      await until(
        () => statusOf(host, 'web'),
        (status) => status === 'gone',
      );
      await checkRules(host);
    }
  });
});

describe('import', () => {
  const content = (): string[] =>
    ['layers', 'blobs/sha256'].flatMap((folder) =>
      readdirSync(join(host.root, folder)).map((name) => `${folder}/${name}`),
    );
  let clean: string[];
  let images: string;
  before(async () => {
    clean = content();
    images = await host.ok(['images', '-q']);
  });
  for (const point of pointsOf('import'))
    test(point, async () => {
      const stdin = await busyboxAnd([{ name: 'another-layer', data: point }]);
      await dieAt(
        point,
        async () => undefined,
        () => host.cli(['import', '-', 'other'], { stdin }),
      );
      // Nothing of it is left, not even a name.
      await until(content, (now) => now.toSorted().join() === clean.toSorted().join());
      assert.equal(await host.ok(['images', '-q']), images);
      await host.ok(['import', '-', 'other'], { stdin });
      await host.ok(['rmi', 'other']);
      await until(content, (now) => now.toSorted().join() === clean.toSorted().join());
    });
});

describe('image removal', () => {
  const importOne = (data: string, reference: string): Promise<string> =>
    host.ok(['import', '-', reference], { stdin: rawTar([{ name: 'going', data }]) });
  const prepare = (): Promise<string> => importOne('x', 'going');
  const ask = (): Promise<unknown> => api(host).images.removeImage({ image: 'going' });
  const isThere = (): Promise<boolean> =>
    api(host)
      .images.getImage({ image: 'going' })
      .then(
        () => true,
        (error) => {
          assert.equal(codeOf(error), 'NOT_FOUND');
          return false;
        },
      );

  for (const point of [...pointsOf('remove-image'), ...pointsOf('collect')])
    test(point, async () => {
      await dieAt(point, prepare, ask);
      assert.equal(await isThere(), point === 'remove-image.begin');
      if (await isThere()) await ask();
      await checkContent(host);
    });

  for (const point of pointsOf('collect'))
    test(`${point} of the next server too`, async () => {
      await prepare();
      await die('remove-image.put', ask);
      await assert.rejects(startWith(host, `${point}=exit`), /mydockerd ended at its start/);
      await host.start();
      assert.equal(await isThere(), false);
      await checkContent(host);
    });

  test('one of several references', async () => {
    await dieAt(
      'remove-image.put',
      async () => {
        await host.ok(['import', '-', 'going'], { stdin: await busyboxAnd([{ name: 'going', data: 'x' }]) });
        await host.ok(['tag', 'going', 'staying']);
      },
      ask,
    );
    assert.deepEqual(
      [await isThere(), await host.ok(['run', '--rm', 'staying', 'cat', '/going'])],
      [false, 'x'],
    );
    await host.ok(['rmi', 'staying']);
    await checkContent(host);
  });

  test('by prune, of many', async () => {
    await dieAt(
      'remove-image.put',
      async () => {
        for (const data of ['1', '2', '3']) await importOne(data, 'pruned');
      },
      () => api(host).images.pruneImages({}),
    );
    await api(host).images.pruneImages({});
    assert.equal((await host.ok(['images', '-q'])).split('\n').length, 2);
    await host.ok(['rmi', 'pruned']);
    await checkContent(host);
  });
});

describe('recover', () => {
  for (const point of pointsOf('recover'))
    test(point, async () => {
      await run(host, FOREVER, { name: 'web' });
      await run(host, 'sleep 0.5; exit 7', { name: 'job' });
      const job = await look(host, 'job');
      await api(host).tasks.createTask({ container: await create(host, FOREVER, { name: 'gate' }) });
      await host.kill9();
      await until(
        () => isAlive(job?.run?.pid ?? 0),
        (alive) => !alive,
      );
      await assert.rejects(startWith(host, `${point}=exit`), /mydockerd ended at its start/);
      await host.start();
      assert.equal(await statusOf(host, 'web'), 'running');
      assert.equal(await host.ok(['exec', 'web', 'echo', 'alive']), 'alive');
      assert.equal(told(await wait(host, 'job')), 'exited 7 signal 0');
      await start(host, 'gate');
      await checkRules(host);
      await useAndRemove('web');
      await removeAll(host);
    });
});

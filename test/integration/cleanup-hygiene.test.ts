/**
 * Use leaves no traces in what stays: after hundreds of runs, in a row and at once, the server has the
 * descriptors, the memory and the handles that it had before, and so has the zygote.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Host, startHost } from '../harness/host.ts';
import {
  api,
  checkClean,
  checkRules,
  create,
  descriptorsOf,
  dispose,
  FOREVER,
  list,
  pidsTitled,
  remove,
  run,
  serverDescriptors,
  settles,
  shimOf,
  start,
  told,
  wait,
} from './deaths-ground.ts';
import { until } from './ground.ts';

const REPORT_MEMORY = fileURLToPath(new URL('../fixtures/report-memory.ts', import.meta.url));

let host: Host;
before(async () => {
  host = await startHost({
    images: ['busybox'],
    serverEnv: { NODE_OPTIONS: `--import=${REPORT_MEMORY}` },
  });
});
afterEach(() => checkClean(host));
after(() => dispose(host));

/** Bytes that the server really needs. */
async function memoryInUse(): Promise<number> {
  const reports = (): string[] => host.log.match(/memory in use: \d+/g) ?? [];
  const before = reports().length;
  process.kill(host.serverPid, 'SIGUSR2');
  const now = await until(reports, (all) => all.length > before);
  return Number(now.at(-1)?.split(' ').at(-1));
}

async function useOnce(): Promise<void> {
  const id = await create(host, 'echo out; echo err >&2; exit 3');
  await start(host, id);
  assert.equal(told(await wait(host, id)), 'exited 3 signal 0');
  await remove(host, id, false);
}

/** Descriptors of the server and of the zygote are back where they were. */
async function same(work: () => Promise<void>): Promise<void> {
  const zygote = pidsTitled(host, 'mydocker-zygote')[0] ?? 0;
  const before = { server: await serverDescriptors(host), zygote: descriptorsOf(zygote) };
  await work();
  await settles(host.serverPid, before.server);
  await settles(zygote, before.zygote);
  assert.deepEqual(pidsTitled(host, 'mydocker-zygote'), [zygote]);
  await checkRules(host);
}

test('the zygote has no file of the server open, a shim its own ones only', async () => {
  const id = await run(host, FOREVER);
  const files = (pid: number): string[] => descriptorsOf(pid).filter((path) => path.startsWith(host.folder));
  assert.deepEqual(files(pidsTitled(host, 'mydocker-zygote')[0] ?? 0), []);
  for (const path of files(await shimOf(host, id)))
    assert.match(path.slice(host.folder.length), new RegExp(`^/(root/containers/${id}/|state/shims/)`));
});

test('25 runs of the client in a row and 50 in groups leave no descriptor and no shim', async () => {
  const runOnce = async (): Promise<void> => {
    assert.equal(await host.ok(['run', '--rm', 'busybox', 'echo', 'hello']), 'hello');
  };
  await runOnce();
  await same(async () => {
    for (let count = 0; count < 25; count++) await runOnce();
    for (let group = 0; group < 5; group++) await Promise.all(Array.from({ length: 10 }, runOnce));
  });
  assert.deepEqual(await list(host), []);
});

test('memory is flat over hundreds of containers', async () => {
  const hundred = async (): Promise<void> => {
    for (let group = 0; group < 10; group++) await Promise.all(Array.from({ length: 10 }, useOnce));
  };
  // Caches fill and code is compiled.
  await hundred();
  await same(async () => {
    const before = await memoryInUse();
    for (let count = 0; count < 3; count++) await hundred();
    // What stays of each are its events and the end of its run: not more than 4 KiB.
    const grown = ((await memoryInUse()) - before) / 300;
    assert.ok(grown < 4096, `${grown} bytes are left of each container`);
  });
});

test('200 additional processes leave nothing in the server, the shim and the container', async () => {
  const id = await run(host, FOREVER);
  const execOnce = async (): Promise<void> => {
    const { run: exec } = await api(host).tasks.execTask({ container: id, process: { args: ['true'] } });
    await api(host).tasks.waitTask({ container: id, runId: exec?.runId ?? '' });
  };
  await execOnce();
  const shim = await shimOf(host, id);
  const before = descriptorsOf(shim);
  await same(async () => {
    for (let group = 0; group < 20; group++) await Promise.all(Array.from({ length: 10 }, execOnce));
    await settles(shim, before);
  });
  assert.match(await host.ok(['exec', id, 'sh', '-c', 'ls -d /proc/[0-9]* | wc -l']), /^[2345]$/);
});

test('starts that fail leave nothing either', async () => {
  const failOnce = async (): Promise<void> => {
    const { id } = await api(host).containers.createContainer({
      config: { rootfs: { $case: 'image', value: 'busybox' }, command: { values: ['/not/there'] } },
    });
    await assert.rejects(start(host, id), /cannot start container \S+: execute "\/not\/there": ENOENT/);
    await remove(host, id, false);
  };
  await failOnce();
  await same(async () => {
    for (let group = 0; group < 10; group++) await Promise.all(Array.from({ length: 10 }, failOnce));
  });
});

test('followers, waiters and watchers that leave are forgotten', async () => {
  const id = await run(host, 'while :; do echo tick; usleep 50000; done', { name: 'web' });
  const once = async (): Promise<void> => {
    const calls = [
      api(host).tasks.readTaskLogs({ container: id, follow: true }),
      api(host).events.subscribeEvents({}),
    ];
    const waiting = api(host).tasks.waitTask({ container: id }, { deadline: Date.now() + 100 });
    for (const call of calls) {
      call.on('error', () => undefined);
      call.on('data', () => undefined);
    }
    await assert.rejects(waiting, /DEADLINE_EXCEEDED/);
    for (const call of calls) call.cancel();
  };
  await once();
  await same(async () => {
    for (let group = 0; group < 5; group++) await Promise.all(Array.from({ length: 20 }, once));
  });
  await until(
    () => host.ok(['ps', '-q']),
    (ids) => ids.split('\n').length === 1,
  );
});

/** pause, unpause and update: what runs stands still or gets other limits, and what dies in between leaves no doubt. @vm */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Host, startHost } from '../harness/host.ts';
import { cgroupMounts } from '../harness/leaks.ts';
import {
  api,
  checkClean,
  checkRules,
  codeOf,
  dispose,
  look,
  startWith,
  statusOf,
  untilDead,
} from './deaths-ground.ts';
import { refused, until, WITH_PROBE } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => checkClean(host));
after(() => dispose(host));

/** Writes a byte or two, again and again, and leaves the CPU to others. */
const COUNTER = 'trap "exit 3" USR1; while :; do echo x; usleep 40000; done';
const IS_V2 = cgroupMounts().length === 1;

const counter = (name: string): Promise<string> =>
  host.ok(['run', '-d', '--name', name, 'busybox', 'sh', '-c', COUNTER]);

const countOf = async (name: string): Promise<number> => (await host.ok(['logs', name])).length;

/** It writes on, or nothing at all for a while. */
async function assertGoing(name: string, going: boolean): Promise<void> {
  if (going) {
    const before = await countOf(name);
    await until(
      () => countOf(name),
      (count) => count > before,
    );
    return;
  }
  // What was written before is on its way for a moment.
  await until(
    async () => {
      const count = await countOf(name);
      await sleep(200);
      return (await countOf(name)) - count;
    },
    (more) => more === 0,
  );
}

async function file(container: string, v1: string, v2: string): Promise<string> {
  const { run } = (await look(host, container)) ?? {};
  for (const mount of cgroupMounts())
    for (const name of [v1, v2]) {
      const path = join(mount, run?.cgroupPath ?? '', name);
      if (name !== '' && existsSync(path)) return readFileSync(path, 'utf8').trim();
    }
  return assert.fail(`no ${v1} or ${v2}`);
}

test('a paused container stands still, says so, and goes on', async () => {
  await counter('web');
  await until(
    () => countOf('web'),
    (count) => count > 0,
  );
  assert.equal(await host.ok(['pause', 'web']), 'web');
  await assertGoing('web', false);
  assert.match(await host.ok(['ps']), /Up .*\(Paused\)|paused/);
  assert.match(await host.ok(['ps', '--filter', 'status=paused', '-q']), /./);
  assert.equal(await host.ok(['inspect', '-f', '{{.State.Status}} {{.State.Paused}}', 'web']), 'paused true');
  await refused(host, ['pause', 'web'], /cannot pause container web: it is already paused/);
  await refused(
    host,
    ['exec', 'web', 'true'],
    /cannot execute in container web: it is paused\nhint: mydocker unpause web/,
  );
  await refused(host, ['start', 'web'], /cannot start container web: it is paused/);
  await refused(host, ['rm', 'web'], /cannot remove container web: it is paused/);
  assert.match(await host.ok(['top', 'web']), /usleep|sh -c/);
  // Another server finds it as it is.
  await host.restart();
  assert.equal(await statusOf(host, 'web'), 'paused');
  await assertGoing('web', false);
  assert.equal(await host.ok(['unpause', 'web']), 'web');
  await assertGoing('web', true);
  await refused(host, ['unpause', 'web'], /cannot unpause container web: it is running/);
  await host.ok(['rm', '-f', 'web']);
  await host.ok(['create', '--name', 'idle', 'busybox', 'true']);
  await refused(host, ['pause', 'idle'], /cannot pause container idle: it is created\nhint: start it first/);
});

test('--freezer-state is a pause in other words', async () => {
  const state = (): Promise<string> => host.ok(['inspect', '-f', '{{.State.Status}}', 'frozen']);
  await host.ok(['run', '-d', '--name', 'frozen', '--freezer-state', 'FROZEN', 'busybox', 'sleep', '1000']);
  assert.equal(await state(), 'paused');
  await host.ok(['update', '--freezer-state', 'THAWED', 'frozen']);
  assert.equal(await state(), 'running');
  await host.ok(['update', '--freezer-state', 'FROZEN', '--pids-limit', '9', 'frozen']);
  assert.equal(await state(), 'paused');
  await refused(host, ['run', '--freezer-state', 'FROZEN', 'busybox', 'true'], /goes with -d/);
  await refused(host, ['run', '-d', '--freezer-state', 'cold', 'busybox', 'true'], /FROZEN or THAWED/);
  await host.ok(['rm', '-f', 'frozen']);
});

test('signals and a paused container', async () => {
  await counter('web');
  // By then it has its trap.
  await assertGoing('web', true);
  await host.ok(['pause', 'web']);
  // Kept until it goes on.
  await host.ok(['kill', '-s', 'USR1', 'web']);
  await sleep(100);
  assert.equal(await statusOf(host, 'web'), 'paused');
  await host.ok(['unpause', 'web']);
  assert.equal(await host.ok(['wait', 'web']), '3');
  // These end it at once.
  for (const end of [
    ['kill', 'web'],
    ['stop', '-t', '0', 'web'],
    ['stop', '-t', '20', '-s', 'USR1', 'web'],
    ['rm', '-f', 'web'],
  ]) {
    await host.ok(['start', 'web']);
    await assertGoing('web', true);
    await host.ok(['pause', 'web']);
    await host.ok(end);
    await until(
      () => statusOf(host, 'web'),
      (status) => status === 'stopped' || status === 'gone',
    );
  }
});

test('a server that dies at any point of a pause or an unpause leaves it paused or running, as it is', async () => {
  await counter('web');
  // Each server finds what the one before left, and dies at the next point; the last one is told that it fails.
  const deaths = [
    ['pause.begin', 'running', 'pause.frozen=exit'],
    ['pause.frozen', 'paused', 'resume.begin=exit'],
    ['resume.begin', 'paused', 'resume.thawed=exit'],
    ['resume.thawed', 'running', 'pause.frozen=error(no)'],
  ] as const;
  await host.stop();
  await startWith(host, 'pause.begin=exit');
  for (const [point, status, next] of deaths) {
    const { tasks } = api(host);
    const call = point.startsWith('pause') ? tasks.pauseTask : tasks.resumeTask;
    const asked = call({ container: 'web' }).catch(() => undefined);
    await untilDead(host);
    await asked;
    await startWith(host, next);
    await checkRules(host);
    assert.equal(await statusOf(host, 'web'), status, point);
    await assertGoing('web', status === 'running');
  }
  // One that fails lets it go on.
  await assert.rejects(api(host).tasks.pauseTask({ container: 'web' }));
  assert.equal(await statusOf(host, 'web'), 'running');
  await assertGoing('web', true);
});

test('limits of a running container change at once, and stay', async () => {
  await host.ok(['run', '-d', '--name', 'web', '-m', '64m', ...WITH_PROBE, 'busybox', 'sleep', '1000']);
  const most = (): Promise<string> => file('web', 'memory.limit_in_bytes', 'memory.max');
  assert.equal(await host.ok(['update', '-m', '128m', '--cpus', '0.5', '--pids-limit', '7', 'web']), 'web');
  assert.equal(await most(), String(128 << 20));
  assert.equal(await file('web', 'cpu.cfs_quota_us', 'cpu.max'), IS_V2 ? '50000 100000' : '50000');
  assert.equal(await file('web', 'pids.max', 'pids.max'), '7');
  await host.ok(['update', '-m', '32m', 'web']);
  assert.equal(await most(), String(32 << 20));
  assert.equal(await host.ok(['exec', 'web', 'sh', '-c', '/probe eat 64 2>/dev/null; echo $?']), '137');
  await host.ok(['update', '-m', '-1', '--cpu-quota', '-1', '--pids-limit', '-1', 'web']);
  assert.match(await most(), IS_V2 ? /^max$/ : /^9223372036854771712$/);
  assert.equal(await file('web', 'pids.max', 'pids.max'), 'max');
  await host.ok(['update', '-m', '48m', '--restart', 'on-failure:3', 'web']);
  await host.ok(['restart', '-t', '0', 'web']);
  assert.equal(await most(), String(48 << 20));
  assert.equal(
    await host.ok(['inspect', '-f', '{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.Memory}}', 'web']),
    `on-failure ${48 << 20}`,
  );
  await refused(host, ['update', 'web'], /nothing is to be changed/);
});

test('an update is all or nothing', async () => {
  await host.ok([
    'run',
    '-d',
    '--name',
    'web',
    '-m',
    '64m',
    '--cpus',
    '0.5',
    ...WITH_PROBE,
    'busybox',
    'sleep',
    '1000',
  ]);
  const before = await look(host, 'web');
  const unchanged = async (): Promise<void> => {
    const { config, rev } = (await look(host, 'web')) ?? {};
    assert.deepEqual([config, rev], [before?.config, before?.rev]);
    assert.equal(await file('web', 'memory.limit_in_bytes', 'memory.max'), String(64 << 20));
    assert.equal(await file('web', 'cpu.cfs_quota_us', 'cpu.max'), IS_V2 ? '50000 100000' : '50000');
  };
  await refused(host, ['update', '-m', '128m', '--cpus', '1000000', 'web'], /the host has \d+ CPU/);
  await unchanged();
  // The kernel's own refusal comes after other limits have been written.
  await refused(
    host,
    ['update', '-m', '128m', '--cpus', '0.2', '--device-read-bps', '250:9:1m', 'web'],
    /cannot set rate of a device: (the kernel says ENODEV|this kernel has no)/,
  );
  await unchanged();
  await host.stop();
  await startWith(host, 'update.limits=error(no)');
  await unchanged();
  await assert.rejects(
    api(host).containers.updateContainer({ container: 'web', resources: { memoryLimitBytes: 32n << 20n } }),
  );
  await unchanged();
  await host.stop();
  await startWith(host, 'update.limits=exit');
  for (const [point, next] of [
    ['update.limits', 'update.done=exit'],
    ['update.done', ''],
  ] as const) {
    const resources = { memoryLimitBytes: 32n << 20n, pidsMax: 9n };
    const asked = api(host)
      .containers.updateContainer({ container: 'web', resources })
      .catch(() => undefined);
    await untilDead(host);
    await asked;
    await startWith(host, next);
    if (point === 'update.limits') await unchanged();
    assert.equal(await file('web', 'pids.max', 'pids.max'), point === 'update.limits' ? 'max' : '9');
  }
  await host.ok(['update', '-m', '64m', 'web']);
  const stale = api(host).containers.updateContainer({ container: 'web', expectedRev: 99n });
  assert.equal(codeOf(await stale.catch((error: unknown) => error)), 'ABORTED');
  // What is in use cannot be taken away.
  await host.ok(['exec', '-d', 'web', '/probe', 'hold', '40']);
  await until(
    async () => Number(await file('web', 'memory.usage_in_bytes', 'memory.current')),
    (bytes) => bytes > 40 << 20,
  );
  await refused(
    host,
    ['update', '-m', '8m', '--memory-swap', '8m', 'web'],
    /cannot set memory limit: .*\nhint: the container uses more/,
  );
  assert.equal(await file('web', 'memory.limit_in_bytes', 'memory.max'), String(64 << 20));
});

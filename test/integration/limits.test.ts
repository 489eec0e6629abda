/** Limits: in the files of the control groups, and in what a process that tries to exceed them gets. @vm */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { deviceNumbers } from '../../server/cgroup/device-numbers.ts';
import { type Host, startHost } from '../harness/host.ts';
import { cgroupMounts } from '../harness/leaks.ts';
import { assertClean, cgroupFile, IS_V2, inside, refused, tryInside, until, WITH_PROBE } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

/** What not every machine with cgroup v1 has. */
const MORE_ON_V2 = ['--memory-swap', '100m', '--blkio-weight', '300', '--hugepages-limit', '2MB:4m'];

test('every limit stands in the files, as explain says', async () => {
  const options = [
    '-m',
    '64m',
    '--cpu-shares',
    '512',
    '--cpus',
    '0.5',
    '--cpuset-cpus',
    '0',
    '--pids-max',
    '20',
    '--memory-reservation',
    '32m',
    '--cpuset-mems',
    '0',
    ...(IS_V2 ? MORE_ON_V2 : []),
  ];
  const id = await host.ok(['run', '-d', '--name', 'limited', ...options, 'busybox', 'sleep', '1000']);
  const file = (v1: string, v2: string): Promise<string> => cgroupFile(host, 'limited', v1, v2);
  assert.equal(await file('memory.limit_in_bytes', 'memory.max'), String(64 << 20));
  assert.equal(await file('cpu.shares', 'cpu.weight'), IS_V2 ? '20' : '512');
  assert.equal(await file('cpu.cfs_quota_us', 'cpu.max'), IS_V2 ? '50000 100000' : '50000');
  assert.equal(await file('cpuset.cpus', ''), '0');
  assert.equal(await file('pids.max', 'pids.max'), '20');
  const told = await host.ok(['explain', 'limited']);
  const writes = Array.from(told.matchAll(/ set [a-z -]+: (.+) in (\/sys\/fs\/cgroup\/\S+) /g));
  assert.ok(writes.length >= (IS_V2 ? 10 : 7), told);
  for (const [, value = '', shown = ''] of writes) {
    const path = shown.replace(`${id.slice(0, 12)}…`, id);
    // A kernel that does not count swap has no file for it.
    if (!existsSync(path)) assert.match(path, /swap|memsw/);
    else assert.ok(readFileSync(path, 'utf8').split('\n').includes(value), `${path}: ${value}`);
  }
  await host.ok(['rm', '-f', 'limited']);
});

test('limits stay over stop and start', async () => {
  await host.ok(['run', '-d', '--name', 'kept', '-m', '32m', 'busybox', 'sleep', '1000']);
  await host.ok(['restart', '-t', '0', 'kept']);
  assert.equal(await cgroupFile(host, 'kept', 'memory.limit_in_bytes', 'memory.max'), String(32 << 20));
  await host.ok(['rm', '-f', 'kept']);
});

test('each container has a group of its own, and an exec is in it', async () => {
  await host.ok(['run', '-d', '--name', 'g1', 'busybox', 'sleep', '1000']);
  await host.ok(['run', '-d', '--name', 'g2', 'busybox', 'sleep', '1000']);
  await host.ok(['exec', '-d', 'g1', 'sleep', '1000']);
  await until(
    () => cgroupFile(host, 'g1', 'cgroup.procs', 'cgroup.procs'),
    (pids) => pids.split('\n').length === 2,
  );
  assert.equal((await cgroupFile(host, 'g2', 'cgroup.procs', 'cgroup.procs')).split('\n').length, 1);
  // In every hierarchy, not only in the first.
  const [{ run }] = JSON.parse(await host.ok(['inspect', '--format', 'api', 'g1']));
  for (const mount of cgroupMounts()) {
    const procs = readFileSync(join(mount, run.cgroupPath, 'cgroup.procs'), 'utf8')
      .trim()
      .split('\n');
    assert.equal(procs.length, 2, mount);
  }
  await host.ok(['rm', '-f', 'g1', 'g2']);
});

test('a process that takes more memory than it may is killed, and the container says so', async () => {
  const result = await host.cli([
    'run',
    '--name',
    'hungry',
    '-m',
    '16m',
    ...WITH_PROBE,
    'busybox',
    '/probe',
    'eat',
    '64',
  ]);
  assert.equal(result.code, 137);
  assert.match(result.stderr, /memory limit/);
  const [{ exit }] = JSON.parse(await host.ok(['inspect', '--format', 'api', 'hungry']));
  assert.deepEqual([exit.exitStatus, exit.signal, exit.oomKilled], [137, 9, true]);
  assert.match(await host.ok(['ps']), /stopped \(137, out of memory\)/);
  await host.ok(['rm', 'hungry']);
  assert.equal(
    await host.ok(['run', '--rm', '-m', '64m', ...WITH_PROBE, 'busybox', '/probe', 'eat', '16']),
    'ok',
  );
});

test('who is killed for memory, and who is only killed', async () => {
  const script = 'while :; do sleep 1000; done';
  await host.ok(['run', '-d', '--name', 'web', '-m', '16m', ...WITH_PROBE, 'busybox', 'sh', '-c', script]);
  const exitOfExec = async (...command: string[]): Promise<readonly unknown[]> => {
    const { containerId, run } = await host.api.tasks.execTask({
      container: 'web',
      process: { args: command },
    });
    const { exit } = await host.api.tasks.waitTask({ container: containerId, runId: run?.runId ?? '' });
    return [exit?.exitStatus, exit?.oomKilled];
  };
  assert.deepEqual(await exitOfExec('/probe', 'eat', '64'), [137, true]);
  // Somebody was before it, but it was not for memory that this one had to go.
  assert.deepEqual(await exitOfExec('sh', '-c', 'kill -9 $$'), [137, false]);
  assert.deepEqual(await exitOfExec('/probe', 'eat', '64'), [137, true]);
  const { run } = await host.api.tasks.execTask({ container: 'web', process: { args: ['sleep', '1000'] } });
  await host.api.tasks.killTask({ container: 'web', runId: run?.runId ?? '', signal: 'KILL' });
  const { exit } = await host.api.tasks.waitTask({ container: 'web', runId: run?.runId ?? '' });
  assert.deepEqual([exit?.exitStatus, exit?.oomKilled], [137, false]);
  await host.ok(['kill', 'web']);
  await host.ok(['wait', 'web']);
  assert.equal(
    await host.ok(['inspect', '-f', '{{.State.ExitCode}} {{.State.OOMKilled}}', 'web']),
    '137 false',
  );
  const events = await host.ok([
    'events',
    '--since',
    '1h',
    '--until',
    '0s',
    '--filter',
    'event=oom',
    '--filter',
    'container=web',
  ]);
  assert.equal(events.split('\n').length, 2, events);
  await host.ok(['rm', 'web']);
});

test('a child that is killed for memory leaves its parent alive', async () => {
  assert.equal(await inside(host, '/probe eat 64; echo $?', ['-m', '16m', ...WITH_PROBE]), '137');
});

test('no more processes than allowed', async () => {
  const [count, errno] = (await inside(host, '/probe spawn 40', ['--pids-max', '20', ...WITH_PROBE])).split(
    ' ',
  );
  assert.equal(errno, 'EAGAIN');
  assert.ok(Number(count) > 10 && Number(count) < 20, count);
  assert.match(await inside(host, '/probe spawn 40', WITH_PROBE), /^40 ok$/);
});

test('a container full of processes can be told so, and stopped', async () => {
  await host.ok(['run', '-d', '--name', 'bomb', '--pids-max', '30', 'busybox', 'sleep', '1000']);
  await host.ok(['exec', '-d', 'bomb', 'sh', '-c', 'while :; do sleep 1000 & done']);
  await until(
    () => cgroupFile(host, 'bomb', 'cgroup.procs', 'cgroup.procs'),
    // A shell ends when it cannot fork, whoever else is there at that moment.
    (pids) => pids.split('\n').length >= 26,
  );
  for (let more = 0; more < 2; more += 1)
    await host.cli(['exec', '-d', 'bomb', 'sh', '-c', 'while :; do sleep 1000 & done']);
  await refused(
    host,
    ['exec', 'bomb', 'true'],
    /cannot execute in container bomb: .*EAGAIN.*\nhint: .*update --pids-limit/,
  );
  await host.ok(['stop', '-t', '0', 'bomb']);
  await host.ok(['rm', 'bomb']);
});

test('--cpus bounds what a busy loop gets', async () => {
  await host.ok([
    'run',
    '-d',
    '--name',
    'busy',
    '--cpus',
    '0.2',
    'busybox',
    'sh',
    '-c',
    'while :; do :; done',
  ]);
  const usedMs = async (): Promise<number> => {
    const text = await cgroupFile(host, 'busy', 'cpuacct.usage', IS_V2 ? 'cpu.stat' : '');
    return IS_V2 ? Number(/usage_usec (\d+)/.exec(text)?.[1]) / 1000 : Number(text) / 1e6;
  };
  await sleep(300);
  const begin = Date.now();
  const before = await usedMs();
  await sleep(1500);
  const share = ((await usedMs()) - before) / (Date.now() - begin);
  assert.ok(share > 0.02 && share < 0.35, `used ${share} of a CPU`);
  await host.ok(['rm', '-f', 'busy']);
});

test('shares divide a CPU that two want', async () => {
  const one = ['run', '-d', '--cpuset-cpus', '0'];
  for (const [name, shares] of [
    ['much', '4096'],
    ['little', '256'],
  ] as const)
    await host.ok([
      ...one,
      '--name',
      name,
      '--cpu-shares',
      shares,
      'busybox',
      'sh',
      '-c',
      'while :; do :; done',
    ]);
  const used = async (name: string): Promise<number> => {
    const text = await cgroupFile(host, name, 'cpuacct.usage', IS_V2 ? 'cpu.stat' : '');
    return IS_V2 ? Number(/usage_usec (\d+)/.exec(text)?.[1]) * 1000 : Number(text);
  };
  const [much, little] = [await used('much'), await used('little')];
  await until(
    async () => (await used('much')) - much,
    (ns) => ns > 1e8,
  );
  const ratio = ((await used('much')) - much) / ((await used('little')) - little);
  // 16 by the book; what else wants the CPU takes from both.
  assert.ok(ratio > 3, `${ratio}`);
  await host.ok(['rm', '-f', 'much', 'little']);
});

test('a rate of a device is the most that gets through', async (t) => {
  const device = deviceNumbers(statSync(host.folder).dev).join(':');
  const options = ['--device-write-bps', `${device}:1m`, '--device-write-iops', `${device}:1000`];
  const made = await host.cli(['create', '--name', 'slow', ...options, 'busybox', 'sh', '-c', WRITE]);
  if (made.code !== 0) {
    assert.match(made.stderr, /cannot set rate of a device/);
    t.skip('a file system in memory, or a part of a disk, has no rate of its own');
    return;
  }
  const begin = Date.now();
  const { code } = await host.cli(['start', '-a', 'slow']);
  await host.ok(['rm', 'slow']);
  if (code !== 0) t.skip('nothing can be written past the cache, or limited at the time of the write');
  else assert.ok(Date.now() - begin > 1000, `${Date.now() - begin} ms`);
});

const WRITE = 'dd if=/dev/zero of=/file bs=256k count=8 oflag=direct';

test('--cpuset-cpus is where the processes run', async () => {
  const allowed = await inside(host, 'grep Cpus_allowed_list /proc/self/status', ['--cpuset-cpus', '0']);
  assert.match(allowed, /:\s+0$/);
  if (availableParallelism() > 1) assert.equal(await inside(host, 'nproc', ['--cpuset-cpus', '0-1']), '2');
});

test('memory sizes in every unit', async () => {
  const sizes = [
    ['16777216', 16 << 20],
    ['16384k', 16 << 20],
    ['16m', 16 << 20],
    ['16MiB', 16 << 20],
    ['0.5g', 512 << 20],
    ['20M', 20 << 20],
    ['-1', undefined],
    ['0', undefined],
  ] as const;
  const make = (text: string): Promise<string> =>
    host.ok(['create', '-m', text, '--pids-limit', '-1', 'busybox', 'true']);
  const ids = await Promise.all(sizes.map(([text]) => make(text)));
  const made = JSON.parse(await host.ok(['inspect', '--format', 'api', ...ids]));
  for (const [index, [text, bytes]] of sizes.entries()) {
    const { resources } = made[index].config;
    assert.deepEqual([resources.memoryLimitBytes, resources.pidsMax], [bytes, undefined], text);
  }
  await host.ok(['rm', ...ids]);
});

test('limits that cannot be are refused', async () => {
  // One of each kind: the rest is for test/unit/client/parse/values.test.ts and test/unit/ops/check-config.test.ts.
  const limit = (...options: string[]): string[] => ['run', '--rm', ...options, 'busybox', 'true'];
  for (const size of ['5m', '-2', '1x', '9999999999999999999g']) {
    await refused(host, limit('-m', size), /memory limit|invalid size/);
  }
  for (const cpus of ['0.001', '1000000', '1e3'])
    await refused(host, limit('--cpus', cpus), /cpu limit|invalid value/);
  for (const shares of ['1', '262145'])
    await refused(host, limit('--cpu-shares', shares), /cpu shares|invalid value/);
  for (const cpuset of ['99', '0-4294967296', '0-']) {
    await refused(host, limit('--cpuset-cpus', cpuset), /cpu list/);
  }
  for (const pids of ['-2', '99999999999'])
    await refused(host, limit('--pids-max', pids), /pids|invalid value/);
  assert.equal(await host.ok(['ps', '-q']), '');
});

/** What each knob becomes, with its spellings: on v1, and on v2, where it may be another number or nothing. */
const KNOBS: readonly (readonly [options: string, v1: string, v2: string, onV1: string, onV2: string])[] = [
  ['-m 64m --memory-soft-limit 32m', 'memory.soft_limit_in_bytes', 'memory.low', '33554432', '33554432'],
  [
    '-m 64m --memory-swap-limit 100m',
    'memory.memsw.limit_in_bytes',
    'memory.swap.max',
    '104857600',
    '37748736',
  ],
  ['--cpu-cfs-period 50000 --cpu-cfs-quota 20000', 'cpu.cfs_quota_us', 'cpu.max', '20000', '20000 50000'],
  ['--cpu-period 50000', 'cpu.cfs_period_us', 'cpu.max', '50000', 'max 50000'],
  ['-cpu 30', 'cpu.cfs_quota_us', 'cpu.max', '30000', '30000 100000'],
  ['--cpuset-mems 0', 'cpuset.mems', 'cpuset.mems', '0', '0'],
  ['--memory-swappiness 10', 'memory.swappiness', '', '10', ''],
  ['-m 64m --oom-kill-disable', 'memory.oom_control', '', 'oom_kill_disable 1', ''],
  ['--kernel-memory-tcp-limit 8m', 'memory.kmem.tcp.limit_in_bytes', '', '8388608', ''],
  ['--cpu-rt-runtime 1000', 'cpu.rt_runtime_us', '', '1000', ''],
  ['--blkio-leaf-weight 300', 'blkio.leaf_weight', '', '300', ''],
  ['--blkio-weight 300', 'blkio.bfq.weight', 'io.weight', '300', 'default 2930'],
];

test('every other knob stands in its file, or the machine is said to lack it', async () => {
  for (const [options, v1, v2, onV1, onV2] of KNOBS) {
    const args = ['run', '-d', '--name', 'knob', ...options.split(' '), 'busybox', 'sleep', '1000'];
    if (IS_V2 && v2 === '') {
      await refused(host, args, /cannot set .*cgroup v2/);
      continue;
    }
    const { code, stderr } = await host.cli(args);
    if (code !== 0) {
      // A kernel without swap accounting, real-time groups or this scheduler.
      assert.match(
        stderr,
        /cannot set [a-z -]+: (this (machine|kernel) has no|the kernel says E)[\s\S]*hint: /,
        options,
      );
      assert.equal(await host.ok(['ps', '-q']), '');
      continue;
    }
    assert.equal((await cgroupFile(host, 'knob', v1, v2)).split('\n')[0], IS_V2 ? onV2 : onV1, options);
    await host.ok(['rm', '-f', 'knob']);
  }
});

test('limits that exclude each other, or that the kernel does not take, are refused at create', async () => {
  const limit = (options: string): string[] => ['create', ...options.split(' '), 'busybox', 'true'];
  for (const [options, why] of [
    ['-m 64m --memory-reservation 65m', /memory reservation.*above the memory limit/],
    ['-m 64m --memory-swap 63m', /swap.*below the memory limit/],
    ['--memory-swap 64m', /memory itself is not limited/],
    ['--memory-swappiness 101', /0|100/],
    ['--cpus 1 --cpu-quota 5000', /period or quota is given too/],
    ['--cpu-period 999', /between 1000 and 1000000/],
    ['--cpu-quota 999', /cpu quota/],
    ['--cpu-quota 100000000 --cpu-exceed-rate 2.5', /cpu quota.*which the exceed rate 2.5 allows/],
    ['--blkio-leaf-weight 5', /between 10 and 1000/],
    ['--cpu-rt-runtime 2000000', /between 0 and 1000000/],
    ['--cpuset-mems 7', /the host has no memory node 7/],
    ['--blkio-weight 5', /between 10 and 1000/],
    ['--device-read-bps /dev/none:1m', /no such block device/],
    ['--device-read-bps /dev/null:1m', /no such block device/],
    ['--device-write-iops 8', /has no colon/],
    ['--hugepages-limit 3MB:3m', /no pages of this size/],
    ['--oom-kill-disable', /without a memory limit/],
  ] as const)
    await refused(host, limit(options), why);
  if (!IS_V2) {
    // Taken and forgotten by the kernels that these tests run on; 250:9 is no device of any machine.
    await refused(host, limit('--kernel-memory-limit 64m'), /kernel memory limit: .*(forgets|EOPNOTSUPP)/);
    await refused(host, limit('--device-read-bps 250:9:1m'), /rate of a device: the kernel says ENODEV/);
    await refused(host, limit('--net-classid 1'), /net_cls/);
  }
  assert.equal(await host.ok(['ps', '-q']), '');
});

test('nothing inside can change a limit', async () => {
  const script = `for f in $(find /sys/fs/cgroup -type f | head -2000); do
      ( echo -1 >$f ) 2>/dev/null && echo "written $f"; done
    find /sys/fs/cgroup -type d | while read d; do mkdir $d/new 2>/dev/null && echo "made $d/new"; done; echo done`;
  assert.equal((await tryInside(host, script, ['-m', '64m'])).stdout, 'done\n');
});

import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { test } from 'node:test';
import { planCgroup, planCgroupExec, toldOom } from '../../../server/cgroup/cgroup-plan.ts';
import { blkioToIoWeight, pageSizeName, sharesToWeight } from '../../../server/cgroup/knobs.ts';
import { parseCgroupLayout } from '../../../server/cgroup/layout.ts';
import { changeWrites, limitWrites, type Machine } from '../../../server/cgroup/limits.ts';
import type { Resources } from '../../../server/model/resources.ts';
import { LAYOUTS } from '../spec/sample-plans.ts';

const PATH = '/mydocker-1/c';
const ALL: Resources = {
  memoryLimitBytes: 64n << 20n,
  cpuShares: 512,
  nanoCpus: 1_500_000_000n,
  cpusetCpus: '0-1',
  pidsMax: 100n,
};
/** A machine with every file, whose groups above say what they are. */
const EVERYTHING: Machine = { has: () => true, read: (file) => `of ${file}` };
const text = (writes: ReturnType<typeof limitWrites>): string[] =>
  writes.map(({ file, value, optional }) => {
    const name = file.replace('/sys/fs/cgroup/', '').replace('mydocker-1/c/', '');
    return `${name}=${value.trim()}${optional ? '?' : ''}`;
  });
const short = (kind: keyof typeof LAYOUTS, resources: Resources): string[] =>
  text(limitWrites({ layout: LAYOUTS[kind], path: PATH }, resources, EVERYTHING));
const changed = (kind: keyof typeof LAYOUTS, now: Resources, next: Resources): string[] =>
  text(changeWrites({ layout: LAYOUTS[kind], path: PATH }, now, next, EVERYTHING));

test('no limits are no writes', () => {
  for (const layout of Object.values(LAYOUTS)) assert.deepEqual(limitWrites({ layout, path: PATH }, {}), []);
});

test('limits on v2', () => {
  assert.deepEqual(short('v2', ALL), [
    'memory.max=67108864',
    'memory.swap.max=67108864?',
    'cpu.weight=20',
    'cpu.max=150000 100000',
    'cpuset.cpus=0-1',
    'pids.max=100',
  ]);
});

test('limits on v1, where memory and swap are counted together', () => {
  assert.deepEqual(short('v1', ALL), [
    'memory/memory.limit_in_bytes=67108864',
    'memory/memory.memsw.limit_in_bytes=134217728?',
    'cpu,cpuacct/cpu.shares=512',
    'cpu,cpuacct/cpu.cfs_period_us=100000',
    'cpu,cpuacct/cpu.cfs_quota_us=150000',
    'cpuset/cpuset.cpus=0-1',
    'pids/pids.max=100',
  ]);
});

test('a hybrid machine has its limits on v1', () => {
  assert.deepEqual(short('hybrid', { memoryLimitBytes: 1n << 30n, pidsMax: 5n }), [
    'memory/memory.limit_in_bytes=1073741824',
    'memory/memory.memsw.limit_in_bytes=2147483648?',
    'pids/pids.max=5',
  ]);
});

test('swap: counted with memory on v1, by itself on v2; who asks for it must get it', () => {
  const both = { memoryLimitBytes: 100n << 20n, memorySwapLimitBytes: 150n << 20n };
  assert.equal(short('v1', both)[1], `memory/memory.memsw.limit_in_bytes=${150 << 20}`);
  assert.equal(short('v2', both)[1], `memory.swap.max=${50 << 20}`);
  const free = { ...both, memorySwapLimitBytes: -1n };
  assert.equal(short('v1', free)[1], 'memory/memory.memsw.limit_in_bytes=-1');
  assert.equal(short('v2', free)[1], 'memory.swap.max=max');
});

test('limits of less common kinds, on both', () => {
  const v1: Resources = {
    memoryReservationBytes: 10n << 20n,
    memorySwappiness: 0,
    oomKillDisable: true,
    kernelMemoryLimitBytes: 1n << 30n,
    kernelMemoryTcpLimitBytes: 1n << 20n,
    cpuRtPeriodUs: 500_000,
    cpuRtRuntimeUs: 1000n,
    cpusetMems: '0',
  };
  assert.deepEqual(short('v1', v1), [
    'memory/memory.soft_limit_in_bytes=10485760',
    'memory/memory.swappiness=0',
    'memory/memory.oom_control=1',
    'memory/memory.kmem.limit_in_bytes=1073741824',
    'memory/memory.kmem.tcp.limit_in_bytes=1048576',
    'cpu,cpuacct/cpu.rt_period_us=500000',
    'cpu,cpuacct/cpu.rt_runtime_us=1000',
    'cpuset/cpuset.mems=0',
  ]);
  for (const key of [
    'memorySwappiness',
    'oomKillDisable',
    'kernelMemoryLimitBytes',
    'cpuRtRuntimeUs',
  ] as const)
    assert.throws(() => short('v2', { [key]: v1[key] }), { reason: 'CGROUP_CONTROLLER_MISSING' });
  const io: Resources = {
    blkioWeight: 500,
    blkioWeightDevices: [{ device: '8:0', weight: 10, leafWeight: 0 }],
    blkioThrottleDevices: [
      { device: '8:0', readBytesPerSecond: 1024n, writeOperationsPerSecond: 10n },
      { device: '8:16', writeBytesPerSecond: 0n },
    ],
    hugepageLimits: [{ pageSizeBytes: 2n << 20n, limitBytes: 4n << 20n }],
    unified: { 'memory.high': '1000' },
  };
  assert.deepEqual(short('v2', io), [
    'io.bfq.weight=500',
    'io.bfq.weight=8:0 10',
    'io.max=8:0 rbps=1024 wiops=10',
    'io.max=8:16 wbps=max',
    'hugetlb.2MB.max=4194304',
    'memory.high=1000',
  ]);
  const noBfq: Machine = { ...EVERYTHING, has: (file) => !file.includes('bfq') };
  assert.deepEqual(text(limitWrites({ layout: LAYOUTS.v2, path: PATH }, { blkioWeight: 500 }, noBfq)), [
    'io.weight=default 4950',
  ]);
  assert.throws(() => short('v1', { unified: { 'memory.high': '1' } }), {
    reason: 'CGROUP_CONTROLLER_MISSING',
  });
});

test('a change writes what is another one, and lifts what is gone', () => {
  assert.deepEqual(changed('v1', ALL, ALL), []);
  assert.deepEqual(changed('v1', ALL, { ...ALL, pidsMax: 5n }), ['pids/pids.max=5']);
  const { cpusetCpus: _, pidsMax: __, nanoCpus: ___, ...less } = ALL;
  assert.deepEqual(changed('v1', ALL, less), [
    'cpu,cpuacct/cpu.cfs_period_us=100000',
    'cpu,cpuacct/cpu.cfs_quota_us=-1',
    'cpuset/cpuset.cpus=of /sys/fs/cgroup/cpuset/mydocker-1/cpuset.cpus',
    'pids/pids.max=max',
  ]);
  assert.deepEqual(changed('v2', ALL, less), ['cpu.max=max 100000', 'cpuset.cpus=', 'pids.max=max']);
  const rates = { blkioThrottleDevices: [{ device: '8:0', readBytesPerSecond: 5n }] };
  assert.deepEqual(changed('v2', rates, {}), ['io.max=8:0 rbps=max']);
  // One of two rates, as when an update that was refused is taken back.
  const more = { blkioThrottleDevices: [{ device: '8:0', readBytesPerSecond: 5n, writeBytesPerSecond: 7n }] };
  assert.deepEqual(changed('v2', more, rates), ['io.max=8:0 rbps=5 wbps=max']);
  const layout = parseCgroupLayout(`35 31 0:31 / /sys/fs/cgroup/net_prio rw - cgroup cgroup rw,net_prio
36 31 0:32 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio`);
  const onV1 = (now: Resources, next: Resources): string[] =>
    changeWrites({ layout, path: PATH }, now, next, EVERYTHING).map(({ value }) => value);
  assert.deepEqual(onV1(more, rates), ['8:0 5', '8:0 0']);
  const both = { netPriorities: { lo: 5, eth0: 6 } };
  assert.deepEqual(onV1(both, { netPriorities: { lo: 5 } }), ['lo 5', 'eth0 0']);
});

test('on v1 memory stays below memory and swap at every moment of a change', () => {
  const limited = (mib: bigint): Resources => ({ memoryLimitBytes: mib << 20n });
  const order = (now: Resources, next: Resources): string[] =>
    changed('v1', now, next).map((line) => (line.includes('memsw') ? 'memsw' : 'limit'));
  assert.deepEqual(order(limited(64n), limited(128n)), ['memsw', 'limit']);
  assert.deepEqual(order(limited(128n), limited(64n)), ['limit', 'memsw']);
  assert.deepEqual(order(limited(128n), {}), ['memsw', 'limit']);
  assert.deepEqual(order({}, limited(64n)), ['limit', 'memsw']);
});

test('on v1 there is never more of each second than before or after a change', () => {
  const time = (cpuPeriodUs: number, cpuQuotaUs: bigint): Resources => ({ cpuPeriodUs, cpuQuotaUs });
  const order = (now: Resources, next: Resources): string =>
    changed('v1', now, next)
      .map((line) => (/period/.test(line) ? 'period' : 'quota'))
      .join(' ');
  assert.equal(order(time(100_000, 50_000n), time(50_000, 25_000n)), 'quota period');
  assert.equal(order(time(50_000, 25_000n), time(100_000, 50_000n)), 'period quota');
  assert.equal(
    order({ cpuRtRuntimeUs: 50_000n }, { cpuRtPeriodUs: 500_000, cpuRtRuntimeUs: 25_000n }),
    'quota period',
  );
});

test('a device gets the weight of its group again', () => {
  const weights = { blkioWeightDevices: [{ device: '8:0', weight: 300, leafWeight: 0 }] };
  assert.deepEqual(changed('v2', weights, {}), ['io.bfq.weight=8:0 default']);
  const layout = parseCgroupLayout('36 31 0:32 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio');
  const values = changeWrites({ layout, path: PATH }, weights, {}, EVERYTHING).map(({ value }) => value);
  assert.deepEqual(values, ['8:0 default']);
});

test('a limit that this machine cannot set is refused and never ignored', () => {
  const bare = parseCgroupLayout('36 20 0:7 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd');
  for (const [key, value] of Object.entries(ALL))
    assert.throws(() => limitWrites({ layout: bare, path: PATH }, { [key]: value }), {
      code: 'failed-precondition',
      reason: 'CGROUP_CONTROLLER_MISSING',
    });
});

test('shares become weights as the OCI runtimes have it', () => {
  for (const [shares, weight] of [
    [2, 1],
    [1024, 39],
    [262_144, 10_000],
    [100, 4],
  ] as const)
    assert.equal(sharesToWeight(shares), weight);
  for (const [blkio, weight] of [
    [10, 1],
    [1000, 10_000],
  ] as const)
    assert.equal(blkioToIoWeight(blkio), weight);
  assert.deepEqual([2n << 20n, 1n << 30n, 64n << 10n].map(pageSizeName), ['2MB', '1GB', '64KB']);
});

test('parts of a CPU are parts of a period', () => {
  const quota = (nanoCpus: bigint): string | undefined =>
    limitWrites({ layout: LAYOUTS.v2, path: PATH }, { nanoCpus })[0]?.value;
  assert.equal(quota(10_000_000n), '1000 100000');
  assert.equal(quota(333_333_333n), '33333 100000');
  assert.equal(quota(64_000_000_000n), '6400000 100000');
});

const taking = (): ((count: number) => number[]) => {
  let next = 10;
  return (count) => Array.from({ length: count }, () => next++);
};

test('a cgroup is made and limited before anybody joins, in every hierarchy', () => {
  for (const [kind, layout] of Object.entries(LAYOUTS)) {
    const ops = planCgroup({ layout, path: PATH }, { memoryLimitBytes: 1n << 30n }, taking());
    const all = [...ops.parentBefore, ...ops.parentAfter];
    const made = all.filter(({ name }) => name === 'mkdir').map(({ s1 }) => s1);
    assert.equal(made.length, layout.hierarchies.length + (layout.unified === undefined ? 0 : 1), kind);
    const names = all.map(({ name }) => name);
    const lastWrite = names.lastIndexOf('write');
    const joins = names.indexOf('join');
    if (layout.kind === 'v2') assert.ok(joins < 0 && ops.cgroup !== undefined);
    else assert.ok(lastWrite >= 0 && joins > lastWrite, kind);
    const swap = all.find(({ s1 }) => /swap|memsw/.test(String(s1)));
    assert.equal(swap?.ignoreErrors, true, 'not every kernel counts swap');
    const limit = all.find(({ s1 }) => /memory\.(max|limit_in_bytes)$/.test(String(s1)));
    assert.equal(limit?.ignoreErrors ?? false, false);
  }
});

test('a plan says which limit is which file and value', () => {
  const { parentAfter } = planCgroup({ layout: LAYOUTS.v1, path: PATH }, { pidsMax: 5n }, taking());
  const about = parentAfter.map((op) => op.about);
  assert.ok(
    about.includes('set pids limit: 5 in /sys/fs/cgroup/pids/mydocker-1/c/pids.max'),
    about.join('\n'),
  );
});

test('the folder that a process is born in is opened as this machine spells it', () => {
  const { parentBefore } = planCgroup({ layout: LAYOUTS.v2, path: PATH }, {}, taking());
  assert.equal(parentBefore.find(({ name }) => name === 'open')?.x, constants.O_DIRECTORY);
});

test('devices are denied before the default ones are allowed', () => {
  const { parentBefore, parentAfter } = planCgroup({ layout: LAYOUTS.v1, path: PATH }, {}, taking());
  const writes = [...parentBefore, ...parentAfter].filter(({ s1 }) =>
    /devices\.(allow|deny)$/.test(String(s1)),
  );
  assert.deepEqual([writes[0]?.s1, writes[0]?.s2], ['/sys/fs/cgroup/devices/mydocker-1/c/devices.deny', 'a']);
  assert.ok(writes.slice(1).every(({ s1 }) => String(s1).endsWith('devices.allow')));
  assert.ok(writes.some(({ s2 }) => s2 === 'c 1:3 rwm'));
});

test('an additional process joins every hierarchy, and makes and removes none', () => {
  for (const layout of Object.values(LAYOUTS)) {
    const ops = planCgroupExec({ layout, path: PATH }, taking());
    assert.deepEqual(ops.parentAfter, []);
    assert.deepEqual(
      ops.afterExit.map(({ name }) => name),
      ['read'],
    );
    if (layout.kind === 'v2') assert.ok(ops.cgroup !== undefined && ops.child.length === 0);
    else {
      const joined = ops.child.map(({ s1, s2 }) => [s1, s2]);
      const unified = layout.unified === undefined ? [] : [layout.unified];
      const mounts = [...layout.hierarchies.map(({ path }) => path), ...unified];
      assert.deepEqual(
        joined,
        mounts.map((mount) => [`${mount}${PATH}/cgroup.procs`, '0']),
      );
    }
    assert.ok(![...ops.parentBefore, ...ops.child].some(({ name }) => name === 'mkdir' || name === 'rmdir'));
  }
});

test('an out-of-memory kill is told by the counters', () => {
  const told = (label: string, text: string): boolean => toldOom(new Map([[label, text]]));
  assert.ok(told('memory.events', 'low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n'));
  assert.ok(told('memory.oom_control', 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n'));
  assert.ok(!told('memory.events', 'low 0\noom 5\noom_kill 0\noom_group_kill 0\n'));
  assert.ok(!told('memory.oom_control', 'oom_kill_disable 1\nunder_oom 1\n'));
  assert.ok(!toldOom(new Map()));
  const files = new Map([['memory.events', 'oom_kill 2\n']]);
  assert.deepEqual([toldOom(files, 1), toldOom(files, 2)], [true, false]);
});

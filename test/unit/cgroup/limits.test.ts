import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { test } from 'node:test';
import { planCgroup, planCgroupExec, toldOom } from '../../../server/cgroup/cgroup-plan.ts';
import { parseCgroupLayout } from '../../../server/cgroup/layout.ts';
import { limitWrites, sharesToWeight, swapWrite } from '../../../server/cgroup/limits.ts';
import type { Resources } from '../../../server/model/container.ts';
import { LAYOUTS } from '../spec/sample-plans.ts';

const PATH = '/mydocker-1/c';
const ALL: Resources = {
  memoryLimitBytes: 64n << 20n,
  cpuShares: 512,
  nanoCpus: 1_500_000_000n,
  cpusetCpus: '0-1',
  pidsMax: 100n,
};
const short = (kind: keyof typeof LAYOUTS, resources: Resources): string[] =>
  limitWrites(LAYOUTS[kind], PATH, resources).map(
    ({ file, value }) => `${file.replace('/sys/fs/cgroup/', '')}=${value}`,
  );

test('no limits are no writes', () => {
  for (const layout of Object.values(LAYOUTS)) {
    assert.deepEqual(limitWrites(layout, PATH, {}), []);
    assert.equal(swapWrite(layout, PATH, {}), undefined);
  }
});

test('limits on v2', () => {
  assert.deepEqual(short('v2', ALL), [
    'mydocker-1/c/memory.max=67108864',
    'mydocker-1/c/cpu.weight=20',
    'mydocker-1/c/cpu.max=150000 100000',
    'mydocker-1/c/cpuset.cpus=0-1',
    'mydocker-1/c/pids.max=100',
  ]);
  assert.deepEqual(swapWrite(LAYOUTS.v2, PATH, ALL), {
    file: '/sys/fs/cgroup/mydocker-1/c/memory.swap.max',
    value: '67108864',
  });
});

test('limits on v1, where memory and swap are counted together', () => {
  assert.deepEqual(short('v1', ALL), [
    'memory/mydocker-1/c/memory.limit_in_bytes=67108864',
    'cpu,cpuacct/mydocker-1/c/cpu.shares=512',
    'cpu,cpuacct/mydocker-1/c/cpu.cfs_period_us=100000',
    'cpu,cpuacct/mydocker-1/c/cpu.cfs_quota_us=150000',
    'cpuset/mydocker-1/c/cpuset.cpus=0-1',
    'pids/mydocker-1/c/pids.max=100',
  ]);
  assert.deepEqual(swapWrite(LAYOUTS.v1, PATH, ALL), {
    file: '/sys/fs/cgroup/memory/mydocker-1/c/memory.memsw.limit_in_bytes',
    value: '134217728',
  });
});

test('a hybrid machine has its limits on v1', () => {
  assert.deepEqual(short('hybrid', { memoryLimitBytes: 1n << 30n, pidsMax: 5n }), [
    'memory/mydocker-1/c/memory.limit_in_bytes=1073741824',
    'pids/mydocker-1/c/pids.max=5',
  ]);
});

test('a limit that this machine cannot set is refused and never ignored', () => {
  const bare = parseCgroupLayout('36 20 0:7 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd');
  for (const [key, value] of Object.entries(ALL))
    assert.throws(() => limitWrites(bare, PATH, { [key]: value }), {
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
});

test('parts of a CPU are parts of a period', () => {
  const quota = (nanoCpus: bigint): string | undefined =>
    limitWrites(LAYOUTS.v2, PATH, { nanoCpus })[0]?.value;
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
    assert.deepEqual([ops.parentAfter, ops.afterExit], [[], []]);
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
});

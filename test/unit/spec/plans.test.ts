/** Rules that hold for every plan, and the orders that a start rests on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CLONE,
  INHERIT_MAX,
  type Op,
  type Plan,
  SECTIONS,
  SLOT_BASE,
  SLOT_COUNT,
  slotPath,
} from '../../../server/model/plan.ts';
import type { Rootfs } from '../../../server/spec/rootfs-plan.ts';
import { allPlans, CONFIG, execPlan, LAYOUTS, launchPlan, USER, workerPlan } from './sample-plans.ts';

const child = (plan: Plan): readonly Op[] => plan.sections.child;
const indexOf = (ops: readonly Op[], wanted: (op: Op) => boolean): number => {
  const index = ops.findIndex(wanted);
  assert.ok(index >= 0, wanted.toString());
  return index;
};
const named =
  (name: Op['name']) =>
  (op: Op): boolean =>
    op.name === name;
const about =
  (pattern: RegExp) =>
  (op: Op): boolean =>
    pattern.test(op.about);

/** Asserts that operations come one after the other. */
function inOrder(ops: readonly Op[], ...wanted: ((op: Op) => boolean)[]): void {
  const places = wanted.map((each) => indexOf(ops, each));
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
    `${places}`,
  );
}

for (const [kind, plan] of allPlans()) {
  test(`${kind}: parent and child meet as often, in the same order`, () => {
    const meeting: Partial<Record<Op['name'], string>> = {
      barrier: 'barrier',
      'send-slot': 'slot',
      'recv-slot': 'slot',
    };
    const meetings = (ops: readonly Op[]): string[] => ops.flatMap(({ name }) => meeting[name] ?? []);
    assert.deepEqual(meetings(plan.sections['parent-after']), meetings(child(plan)));
    assert.deepEqual(meetings(plan.sections['parent-before']), []);
  });

  test(`${kind}: a slot is filled before it is used, and none is used behind the gate`, () => {
    const filled = new Set(Array.from({ length: 3 }, (_, slot) => slot));
    const fills: Partial<Record<Op['name'], readonly ('a' | 'b')[]>> = {
      ...{
        open: ['a'],
        'open-in-root': ['a'],
        mkfifo: ['a'],
        pipe: ['a', 'b'],
        'pty-peer': ['b'],
        'recv-slot': ['a'],
        'fs-open': ['a'],
        'fs-mount': ['a'],
      },
    };
    for (const section of ['parent-before', 'child'] as const)
      for (const op of plan.sections[section]) {
        for (const field of ['a', 'b'] as const) {
          const slot = op[field];
          if (slot === undefined) continue;
          if (fills[op.name]?.includes(field)) filled.add(slot);
          else assert.ok(filled.has(slot), `${section}: ${op.about} uses slot ${slot}`);
        }
        for (const [, digits] of JSON.stringify(op.s3 ?? '').matchAll(/proc\/self\/fd\/(\d+)/g))
          if (op.name === 'mount') assert.ok(filled.has(Number(digits) - SLOT_BASE), op.about);
      }
    const gate = child(plan).findIndex(named('gate'));
    if (gate >= 0)
      for (const op of child(plan).slice(gate + 1)) assert.deepEqual([op.a, op.b], [undefined, undefined]);
  });

  test(`${kind}: it ends in exec, or waits, and every step says what it is for`, () => {
    const last = plan.parks ? 'netlink' : kind.startsWith('shared memory') ? 'gate' : 'exec';
    assert.equal(child(plan).filter(named('exec')).length, last === 'exec' ? 1 : 0);
    assert.equal(child(plan).at(-1)?.name, last);
    for (const section of SECTIONS) for (const op of plan.sections[section]) assert.ok(op.about.length > 0);
  });
}

test('a start makes its namespaces by the clone, but the cgroup namespace after joining', () => {
  const plan = launchPlan({ layout: LAYOUTS.v1 });
  const wanted = CLONE.newNs | CLONE.newPid | CLONE.newNet | CLONE.newIpc | CLONE.newUts;
  assert.equal(plan.cloneFlags, wanted);
  assert.equal(launchPlan({ config: { network: 'host' } }).cloneFlags, wanted & ~CLONE.newNet);
  inOrder(
    child(plan),
    named('barrier'),
    (op) => op.name === 'unshare' && op.x === CLONE.newCgroup,
    about(/sys\/fs\/cgroup/),
  );
  inOrder(plan.sections['parent-after'], named('mkdir'), named('join'), named('barrier'));
});

test('a start cuts propagation before its first mount and leaves the host before it gives up rights', () => {
  for (const layout of Object.values(LAYOUTS))
    inOrder(
      child(launchPlan({ layout, config: { terminal: true, readOnlyRootfs: true } })),
      named('umask'),
      named('propagation'),
      named('mount'),
      about(/^mount \/proc$/),
      (op) => op.name === 'mount' && op.s2 === 'tmpfs' && op.about === 'mount /dev',
      named('mknod-in-root'),
      about(/^mount \/dev\/pts/),
      about(/^mount \/sys/),
      about(/^mount \/data$/),
      about(/^mount \/data\/deep/),
      about(/masked/),
      about(/read-only\)/),
      named('pty-peer'),
      about(/dev\/console/),
      named('hostname'),
      named('barrier'),
      about(/^make \/ read-only/),
      named('pivot'),
      named('fchdir'),
      named('setsid'),
      named('dup'),
      named('controlling-tty'),
      named('rlimit'),
      named('bounding'),
      named('groups'),
      named('setgid'),
      named('setuid'),
      named('capset'),
      (op) => op.name === 'umask' && op.x === 0o022,
      named('gate'),
      named('exec'),
    );
});

test('nothing of the host is opened by name after the pivot', () => {
  for (const plan of allPlans().values()) {
    const pivot = child(plan).findIndex(named('pivot'));
    if (pivot < 0) continue;
    for (const op of child(plan).slice(pivot)) assert.notEqual(op.name, 'open', op.about);
  }
});

test('targets below the root are opened inside the root only', () => {
  const ops = child(launchPlan({ config: { terminal: true } }));
  const host = ops.filter(named('open')).map(({ s1 }) => s1);
  const allowed = [
    ...['/', '/run/mydocker/mount/root', '/run/mydocker/mount/etc', '/root/layers/2', '/root/layers/1'],
    ...['/root/containers/c/upper', '/root/containers/c/work'],
    ...CONFIG.mounts.map(({ source }) => source),
  ];
  for (const path of host) assert.ok(allowed.includes(path as string), String(path));
});

test('a read-only volume is read-only before anybody sees it', () => {
  const ops = child(launchPlan());
  const bindOf = (where: string): Op | undefined =>
    ops.find((op) => op.name === 'bind' && op.about === `mount ${where}`);
  assert.deepEqual([bindOf('/data')?.x, bindOf('/data')?.y], [1, 1]);
  assert.deepEqual([bindOf('/data/deep')?.x, bindOf('/etc/app.conf')?.x], [0, 0]);
});

test('on v2 a process is born in its cgroup, with its limits and devices', () => {
  const plan = launchPlan({ layout: LAYOUTS.v2, deviceProgram: true, resources: { pidsMax: 5n } });
  assert.ok(plan.cgroup !== undefined);
  inOrder(
    plan.sections['parent-before'],
    about(/^make cgroup/),
    about(/pids.max/),
    (op) => op.name === 'open' && op.a === plan.cgroup,
    named('bpf-attach'),
  );
  assert.ok(!plan.sections['parent-after'].some(named('join')));
});

test('after the end: the counters are kept, then what is left is killed, then the groups go', () => {
  for (const layout of Object.values(LAYOUTS)) {
    const ops = launchPlan({ layout }).sections['after-exit'];
    const kill = (op: Op): boolean => op.name === 'kill-cgroup' || /cgroup\.kill/.test(String(op.s1));
    inOrder(ops, named('read'), kill, named('rmdir'));
    const made = Object.values(launchPlan({ layout }).sections)
      .flat()
      .filter(about(/^make cgroup/));
    assert.deepEqual(
      ops.filter(named('rmdir')).map(({ s1 }) => s1),
      made.map(({ s1 }) => s1),
    );
  }
});

test('127 layers fit, one more than the page of options allows does not', () => {
  const overlay = (layers: number, options: string): Rootfs => ({
    kind: 'overlay',
    lowerDirs: Array.from({ length: layers }, (_, i) => `/var/lib/mydocker/layers/${i}/${'x'.repeat(200)}`),
    upperDir: '/u',
    workDir: '/w',
    options,
  });
  const plan = launchPlan({
    config: { terminal: true },
    rootfs: overlay(127, 'redirect_dir=off,metacopy=off,index=off,xino=off'),
  });
  const mount = child(plan).find((op) => op.s2 === 'overlay');
  assert.match(String(mount?.s3), new RegExp(`^lowerdir=(${slotPath(0).replace('32', '\\d+')}:){126}`));
  for (const op of Object.values(plan.sections).flat())
    for (const slot of [op.a, op.b]) assert.ok(slot === undefined || slot < SLOT_COUNT);
  assert.throws(() => launchPlan({ rootfs: overlay(20, 'x'.repeat(4096)) }), /too many layers/);
  assert.throws(() => launchPlan({ rootfs: overlay(500, '') }), RangeError);
});

test('an additional process joins by one descriptor, and is born inside with its final rights', () => {
  const plan = execPlan({ terminal: true, credentials: USER }, LAYOUTS.v1);
  inOrder(
    child(plan),
    about(/^join cgroup/),
    named('setns'),
    named('keyring'),
    named('pty-peer'),
    named('fchdir'),
    named('dup'),
    named('bounding'),
    named('setuid'),
    named('capset'),
    named('respawn'),
    named('setsid'),
    named('controlling-tty'),
    named('exec'),
  );
  assert.equal(plan.cloneFlags, 0n);
  assert.deepEqual([plan.hold?.backpressure, plan.hold?.logFolder, plan.gate], [true, undefined, undefined]);
  const setns = child(plan).find(named('setns'));
  assert.equal(setns?.a, 0);
  for (const flag of [CLONE.newNs, CLONE.newPid, CLONE.newNet, CLONE.newCgroup, CLONE.newIpc, CLONE.newUts])
    assert.ok((BigInt(setns?.x ?? 0) & flag) !== 0n);
});

test('a worker has no network, a read-only root, few rights and its one folder', () => {
  const plan = workerPlan();
  assert.equal(plan.hold, undefined);
  assert.ok((plan.cloneFlags & CLONE.newNet) !== 0n);
  const ops = child(plan);
  inOrder(
    ops,
    named('propagation'),
    named('mount'),
    named('bind'),
    named('setattr'),
    named('barrier'),
    named('pivot'),
  );
  inOrder(
    ops,
    named('pivot'),
    named('dup'),
    named('bounding'),
    named('capset'),
    named('no-new-privs'),
    named('exec'),
  );
  const binds = ops.filter(named('bind'));
  for (const op of binds) assert.equal(op.x, /dev\/|work/.test(op.about) ? 0 : 1, op.about);
  assert.deepEqual(
    ops.filter(named('dup')).map(({ x }) => x),
    [0, 1, 2, 3],
  );
});

test('no plan takes more descriptors than a launch can hand over', () => {
  for (const plan of allPlans().values()) {
    const used = Object.values(plan.sections)
      .flat()
      .flatMap(({ a, b }) => [a ?? 0, b ?? 0]);
    assert.ok(Math.max(...used) < SLOT_COUNT);
  }
  assert.ok(INHERIT_MAX >= 3);
});

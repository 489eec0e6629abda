/**
 * Every step of every kind of plan is made to fail once: the failure names that step, and nothing is left of
 * the launch. What must run when a process is gone runs on whatever fails in it. @vm
 */
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { reapCgroup } from '../../server/cgroup/reap.ts';
import { type Op, type Plan, SECTIONS, type Section } from '../../server/model/plan.ts';
import { encodePlan } from '../../server/spec/plan-codec.ts';
import { readExitFile } from '../../server/task/run-files.ts';
import { LaunchFailure } from '../../server/task/shim-error.ts';
import { REQUEST } from '../../server/task/shim-protocol.ts';
import { listCgroups } from '../harness/leaks.ts';
import { type Launched, ShimGround, USER, withOp } from './shim-ground.ts';

let ground: ShimGround;
/** Standard streams of workers. */
let nothing: number;
before(async () => {
  nothing = openSync('/dev/null', 'r+');
  ground = await ShimGround.make();
});
afterEach(async () => {
  ground.removeRuns();
  await ground.assertNothingLeft();
});
after(async () => {
  closeSync(nothing);
  await ground.dispose();
});

/** Fails with an errno that no step of a plan fails with by itself, wherever the process stands. */
const FAILING: Op = { name: 'open', a: 0, s1: 'x'.repeat(300), x: 0, about: 'fail' };
const ERRNO = 'ENAMETOOLONG';
const ENAMETOOLONG = 36;

interface Case {
  readonly section: Section;
  readonly index: number;
  readonly plan: Plan;
}

/** The plan with each of its steps broken in turn. */
function broken(plan: Plan, sections: readonly Section[]): Case[] {
  return sections.flatMap((section) =>
    plan.sections[section].map((_, index) => ({
      section,
      index,
      plan: withOp(plan, section, index, FAILING),
    })),
  );
}

/** The plan with step i of all that run before the end broken. */
function nth(plan: Plan, i: number): Case {
  const one = broken(plan, BEFORE_EXIT)[i];
  assert.ok(one !== undefined);
  return one;
}

/** Some at a time, because most of a launch is waiting; after each batch nothing may be left. */
async function eachInBatches(count: number, run: (i: number) => Promise<void>): Promise<void> {
  const BATCH = 10;
  for (let first = 0; first < count; first += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, count - first) }, (_, i) => run(first + i));
    const failed = (await Promise.allSettled(batch)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
    ground.removeRuns();
    await ground.assertNothingLeft(`after steps ${first} to ${first + BATCH - 1}`);
  }
}

const SIGKILL = 9;
const BEFORE_EXIT: readonly Section[] = ['parent-before', 'parent-after', 'child'];

async function assertFails(exited: Promise<unknown>, { section, index }: Case): Promise<void> {
  await assert.rejects(exited, (error: unknown) => {
    const where = `${section} ${index}`;
    assert.ok(error instanceof LaunchFailure, `${where}: ${error}`);
    assert.deepEqual([SECTIONS[error.section], error.index, error.errno], [section, index, ERRNO], where);
    return true;
  });
}

const starts: readonly (readonly [kind: string, choice: Parameters<ShimGround['prepare']>[0]])[] = [
  ['with pipes', { config: { openStdin: true } }],
  ['on a terminal, as a user', { config: { terminal: true }, user: USER }],
];
for (const [kind, choice] of starts) {
  test(`each step of a start ${kind} fails by name and leaves nothing`, async () => {
    const { length } = broken(ground.prepare(choice).plan, BEFORE_EXIT);
    assert.ok(length > 100, `only ${length} steps`);
    await eachInBatches(length, async (i) => {
      const one = nth(ground.prepare(choice).plan, i);
      const connection = ground.zygote.launch(encodePlan(one.plan), []);
      // Committed or not, a failed launch is undone; only behind the gate there is none without a commit.
      if (i % 2 === 0 || i === length - 1) connection.commit(true);
      await assertFails(connection.exited, one);
      connection.close();
    });
  });
}

test('a process that fails behind the gate leaves the reason in its exit record', async () => {
  const last = ground.prepare({}).plan.sections.child.length - 1;
  const { runFolder, connection } = ground.start({ change: (plan) => withOp(plan, 'child', last, FAILING) });
  await assert.rejects(connection.exited, LaunchFailure);
  assert.deepEqual(readExitFile(runFolder)?.failed, { section: 2, index: last, errno: ENAMETOOLONG });
  connection.close();
});

async function running(): Promise<Launched> {
  const container = ground.start({ config: { args: ['sleep', '1000'] } });
  await container.connection.started;
  return container;
}

async function end({ connection }: Launched): Promise<void> {
  await connection.request(REQUEST.signal, SIGKILL);
  await connection.exited;
  connection.close();
}

for (const [kind, choice] of [
  ['with pipes, as a user', { openStdin: true, credentials: USER }],
  ['on a terminal', { terminal: true }],
] as const) {
  test(`each step of an additional process ${kind} fails by name and leaves the container alone`, async () => {
    const container = await running();
    const clean = listCgroups(ground.cgroupParent);
    const { length } = broken(ground.prepareExec(container, choice).plan, BEFORE_EXIT);
    assert.ok(length > 25, `only ${length} steps`);
    for (let i = 0; i < length; i++) {
      const { plan, runFolder } = ground.prepareExec(container, choice);
      const one = nth(plan, i);
      const { connection, stdio } = await ground.launchExec(container, { plan: one.plan, runFolder });
      if (i % 2 === 0) connection.commit(true);
      await assertFails(connection.exited, one);
      connection.close();
      stdio.close();
    }
    assert.deepEqual(listCgroups(ground.cgroupParent), clean);
    const { connection, stdio } = await ground.exec(container, { args: ['sh', '-c', 'exit 6'] });
    assert.equal((await connection.exited).exitStatus, 6);
    connection.close();
    stdio.close();
    await end(container);
  });
}

test('each step of a worker fails by name and leaves nothing', async () => {
  // Descriptors up to the last that a plan can connect: none may be one that the launch itself needs.
  const descriptors = [0, 1, 2, 4, 5, 6, 7, 8, 9].map((descriptor, slot) => [slot, descriptor] as const);
  const descriptorCount = descriptors.length;
  const { length } = broken(ground.prepareWorker({ descriptorCount, descriptors }), BEFORE_EXIT);
  assert.ok(length > 50, `only ${length} steps`);
  await eachInBatches(length, async (i) => {
    const one = nth(ground.prepareWorker({ descriptorCount, descriptors }), i);
    const connection = ground.zygote.launch(
      encodePlan(one.plan),
      descriptors.map(() => nothing),
    );
    await assertFails(connection.exited, one);
    connection.close();
  });
});

test('a worker whose program is missing says so, whatever descriptors it has', async () => {
  for (const last of [3, 4, 5, 6, 9]) {
    const plan = ground.prepareWorker({
      descriptorCount: 1,
      args: ['/no/such'],
      descriptors: [0, 1, 2].map((descriptor) => [0, descriptor]),
      folder: { path: ground.rootfs, descriptor: last },
    });
    const connection = ground.zygote.launch(encodePlan(plan), [nothing]);
    await assertFails(connection.exited, {
      section: 'child',
      index: plan.sections.child.length - 1,
      plan,
    }).catch((error: Error) => assert.match(error.message, /ENOENT/));
    await assert.rejects(connection.exited, { errno: 'ENOENT', index: plan.sections.child.length - 1 });
    connection.close();
  }
});

test('whatever fails after the end, the rest of it is done and the exit is told', async () => {
  const count = ground.prepare({}).plan.sections['after-exit'].length;
  assert.ok(count > 2);
  for (let index = 0; index < count; index++) {
    let removed: Op['s1'];
    const { connection, runFolder, cgroupPath } = ground.start({
      config: { args: ['sh', '-c', 'exit 3'] },
      change: (plan) => {
        const op = plan.sections['after-exit'][index];
        if (op?.name === 'rmdir') removed = op.s1;
        // Operations that open files do not belong there; this one fails in the same way.
        return withOp(plan, 'after-exit', index, { ...FAILING, name: 'rmdir' });
      },
    });
    assert.equal((await connection.exited).exitStatus, 3);
    assert.equal(readExitFile(runFolder)?.exitStatus, 3);
    assert.deepEqual(listCgroups(ground.cgroupParent), removed === undefined ? [] : [removed]);
    await reapCgroup(ground.layout, cgroupPath);
    connection.close();
    ground.removeRuns();
  }
});

test('a start that runs out of processes is told and leaves nothing', async () => {
  const { connection } = ground.start({
    config: { args: ['sh', '-c', 'true & true & wait'], resources: { pidsMax: 1n } },
  });
  const { exitStatus } = await connection.exited;
  assert.notEqual(exitStatus, 0);
  connection.close();
});

test('a log that cannot be opened fails the launch', async () => {
  const { connection } = ground.start({
    change: (plan) => ({ ...plan, hold: { ...(plan.hold as NonNullable<Plan['hold']>), logFolder: 191 } }),
  });
  await assert.rejects(connection.exited, { section: 4, index: 3, errno: 'EBADF' });
  connection.close();
});

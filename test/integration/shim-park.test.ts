/**
 * A shim that waits with a launcher: it launches the plan that it gets as one that was forked for it, and whatever ends
 * it before leaves nothing. @vm
 */
import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { sealedMemfd } from '../../native/memfd.ts';
import { planWaitingGroups } from '../../server/cgroup/cgroup-plan.ts';
import type { Op, Plan } from '../../server/model/plan.ts';
import { loopbackUp } from '../../server/network/loopback.ts';
import { planParking } from '../../server/spec/park-plan.ts';
import { encodePlan } from '../../server/spec/plan-codec.ts';
import type { ShimConnection } from '../../server/task/shim-connection.ts';
import { LaunchFailure } from '../../server/task/shim-error.ts';
import { FAILED_LAUNCH } from '../../server/task/shim-protocol.ts';
import { type RunChoice, ShimGround } from './shim-ground.ts';

let ground: ShimGround;
before(async () => {
  ground = await ShimGround.make();
});
afterEach(async () => {
  ground.removeRuns();
  await ground.assertNothingLeft();
});
after(() => ground.dispose());

const waiting = (): string => `${ground.cgroupParent}/launcher-1`;

function park(inside: readonly Op[] = [loopbackUp]): ShimConnection {
  const plan = planParking(
    `mydocker-launcher ${ground.state}`,
    planWaitingGroups(ground.layout, waiting()),
    inside,
  );
  return ground.zygote.launch(encodePlan(plan), []);
}

function begin(connection: ShimConnection, plan: Plan): void {
  const fd = sealedMemfd('mydocker-plan', encodePlan(plan));
  connection.begin(fd, []);
  closeSync(fd);
}

const prepare = (choice: RunChoice): Plan => ground.prepare({ waiting: waiting(), ...choice }).plan;

const fails = (connection: ShimConnection, section: number, index: number, errno: string): Promise<void> =>
  assert.rejects(connection.exited, (error) => {
    assert.ok(error instanceof LaunchFailure, String(error));
    assert.deepEqual([error.section, error.index, error.errno], [section, index, errno]);
    return true;
  });

test('a plan that comes later is launched, in groups with the name of its container', async () => {
  const connection = park();
  const { shimPid } = await connection.parked;
  const script =
    'grep -q launcher /proc/1/cgroup && exit 1; test "$(cat /sys/class/net/lo/flags)" = 0x9 && exit 3';
  begin(connection, prepare({ config: { args: ['sh', '-c', script] } }));
  connection.commit(true);
  assert.equal((await connection.created).shimPid, shimPid);
  assert.equal((await connection.exited).exitStatus, 3);
  connection.close();
});

test('whatever ends it while it waits leaves nothing', async () => {
  const given = park();
  await given.parked;
  await given.giveUp();
  const killed = park();
  const { launcherPid } = await killed.parked;
  process.kill(launcherPid, 'SIGKILL');
  await fails(killed, FAILED_LAUNCH, 1, 'ECANCELED');
});

test('a step of the launcher that fails is told, and so is a plan that it cannot do', async () => {
  await fails(park([{ name: 'hostname', s1: 'x'.repeat(100), about: '' }]), 2, 0, 'EINVAL');
  const host = park();
  await host.parked;
  begin(host, prepare({ config: { network: 'host' } }));
  await fails(host, FAILED_LAUNCH, 1, 'EINVAL');
});

test('a start that fails before and behind the clone leaves nothing of both plans', async () => {
  for (const section of ['parent-before', 'parent-after', 'child'] as const) {
    const connection = park();
    await connection.parked;
    const plan = prepare({});
    const failing: Op = { name: 'mkdir', s1: '/nowhere/at/all', x: 0, about: '' };
    begin(connection, {
      ...plan,
      sections: { ...plan.sections, [section]: [failing, ...plan.sections[section]] },
    });
    const index = ['parent-before', 'parent-after', 'child'].indexOf(section);
    await fails(connection, index, 0, 'ENOENT');
  }
});

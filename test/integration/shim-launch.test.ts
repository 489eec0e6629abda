/**
 * A launch belongs to the server until it says commit, and to nobody afterwards: whatever moment a connection
 * ends at, either nothing is left or the container goes on. @vm
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { sealedMemfd } from '../../native/memfd.ts';
import type { Op, Plan } from '../../server/model/plan.ts';
import { O, open } from '../../server/spec/ops.ts';
import { encodePlan } from '../../server/spec/plan-codec.ts';
import { readExitFile, readStateFile } from '../../server/task/run-files.ts';
import { LaunchFailure } from '../../server/task/shim-error.ts';
import { FAILED_LAUNCH, NOTICE, REQUEST } from '../../server/task/shim-protocol.ts';
import { connectInFolder } from '../../server/task/shim-sockets.ts';
import { listCgroups } from '../harness/leaks.ts';
import { type Prepared, type RunChoice, SHIM_PROGRAM, ShimGround, until, withOps } from './shim-ground.ts';
import { RawConnection, RawZygote } from './shim-raw.ts';

let ground: ShimGround;
let zygote: RawZygote;
before(async () => {
  ground = await ShimGround.make();
  zygote = new RawZygote(SHIM_PROGRAM, `mydocker-zygote ${ground.state}`.padEnd(200));
  ground.remember();
});
afterEach(async () => {
  ground.removeRuns();
  await ground.assertNothingLeft();
});
after(async () => {
  zygote.close();
  await ground.dispose();
});

const EPERM = 1;
const EAGAIN = 11;
const EINVAL = 22;
const ECANCELED = 125;
const SIGKILL = 9;

/** Holds the launch up at a point, until the server answers. */
const ask = (question: number): Op => ({ name: 'ask', x: question, about: 'ask the server' });
const asked =
  (section: 'parent-before' | 'parent-after' | 'child', index: number) =>
  (plan: Plan): Plan =>
    withOps(plan, section, index, ask(7));
const launch = (choice: RunChoice): Prepared & { connection: RawConnection } => {
  const prepared = ground.prepare(choice);
  return { ...prepared, connection: zygote.launch(encodePlan(prepared.plan)) };
};
const childLength = (): number => ground.prepare({}).plan.sections.child.length;
const barrierAt = (): number =>
  ground.prepare({}).plan.sections.child.findIndex(({ name }) => name === 'barrier');

/** The container's process reports itself at the gate and nothing else is said before the commit. */
test('a launch stops at the gate and writes its state', async () => {
  const { connection, runFolder, runId } = launch({ config: { args: ['sleep', '1000'] } });
  const created = await connection.next(NOTICE.created);
  const state = readStateFile(runFolder);
  assert.equal(state?.pid, created.a);
  assert.equal(state?.shimPid, created.b);
  assert.equal(state?.pidStartTime, created.x);
  assert.equal(state?.shimStartTime, created.y);
  assert.equal(state?.head.runId, runId);
  assert.deepEqual(readdirSync(runFolder).sort(), ['attach', 'control', 'gate', 'state']);
  assert.deepEqual(connection.messages, []);
  connection.close();
});

const moments: readonly (readonly [
  moment: string,
  section: 'parent-before' | 'parent-after' | 'child',
  index: () => number,
])[] = [
  ['before anything is made', 'parent-before', () => 0],
  ['before the clone', 'parent-before', () => ground.prepare({}).plan.sections['parent-before'].length],
  ['right after the clone', 'parent-after', () => 0],
  ['before the child did anything', 'child', () => 0],
  ['when half of it is mounted', 'child', () => Math.floor(barrierAt() / 2)],
  ['when all of it is mounted', 'child', barrierAt],
];
for (const [moment, section, index] of moments) {
  test(`a connection that ends ${moment} leaves nothing`, async () => {
    const { connection } = launch({ change: asked(section, index()) });
    assert.equal((await connection.next(NOTICE.ask)).a, 7);
    connection.close();
    ground.removeRuns();
    await ground.assertNothingLeft(moment);
  });

  test(`an answer with an errno ${moment} is the failure of that step`, async () => {
    const at = index();
    const { connection, plan } = launch({ change: asked(section, at) });
    await connection.next(NOTICE.ask);
    connection.send(REQUEST.answer, EPERM);
    const { a, b, x } = await connection.next(NOTICE.failed);
    assert.deepEqual([a, b, x], [Object.keys(plan.sections).indexOf(section), at, BigInt(EPERM)]);
    await connection.end();
    connection.close();
  });

  test(`an answer of 0 ${moment} lets the launch go on`, async () => {
    const { connection } = launch({ change: asked(section, index()) });
    await connection.next(NOTICE.ask);
    // A commit may stand before the answer.
    connection.send(REQUEST.commit, 1);
    connection.send(REQUEST.answer, 0);
    assert.equal((await connection.next(NOTICE.exited)).a, 0);
    connection.close();
  });
}

test('a connection that ends at the gate leaves nothing', async () => {
  const { connection } = launch({});
  await connection.next(NOTICE.created);
  connection.close();
  ground.removeRuns();
  await ground.assertNothingLeft('at the gate');
});

test('a connection whose writing end is closed hears when all is undone', async () => {
  const { connection, runFolder } = launch({});
  const { a } = await connection.next(NOTICE.created);
  connection.socket.end();
  await connection.end();
  assert.ok(!existsSync(`/proc/${a}`));
  assert.deepEqual(listCgroups(ground.cgroupParent), []);
  // Not even an exit record: nobody wants to know of a launch that was given up.
  assert.deepEqual(readdirSync(runFolder), []);
});

test('a commit that is cut off is none', async () => {
  const { connection } = launch({});
  await connection.next(NOTICE.created);
  const bytes = Buffer.alloc(32);
  bytes.writeUInt16LE(REQUEST.commit, 0);
  bytes.writeUInt16LE(1, 2);
  connection.socket.write(bytes.subarray(0, 31));
  connection.close();
  ground.removeRuns();
  await ground.assertNothingLeft('after half a commit');
});

test('what is given up behind the commit gets no further than the barrier', async () => {
  const { connection, runFolder } = launch({ change: asked('parent-after', 0) });
  await connection.next(NOTICE.ask);
  // Now the child is at the barrier, and both it and the server have something to say.
  await sleep(100);
  connection.socket.cork(); // in one piece, so that it is all there when the shim comes to it
  connection.send(REQUEST.commit, 1);
  connection.send(REQUEST.answer, 0);
  connection.send(REQUEST.signal, SIGKILL);
  connection.socket.uncork();
  await connection.next(NOTICE.failed);
  assert.ok(!existsSync(join(runFolder, 'exit')));
  await connection.end();
  connection.close();
});

test('a container whose server is gone after the commit goes on and leaves its exit record', async () => {
  const { connection, runFolder, cgroupPath } = launch({
    config: { args: ['sh', '-c', 'sleep 0.2; exit 9'] },
  });
  connection.send(REQUEST.commit, 1);
  await connection.next(NOTICE.started);
  connection.close();
  await until(() => existsSync(join(runFolder, 'exit')), 'no exit record');
  const exit = readExitFile(runFolder);
  assert.equal(exit?.exitStatus, 9);
  assert.equal(exit?.signal, 0);
  assert.equal(exit?.failed, undefined);
  assert.deepEqual([...(exit?.files.keys() ?? [])].length, 1, 'the memory counters are kept');
  assert.ok(!existsSync(`/sys/fs/cgroup${cgroupPath}`));
  await until(() => readdirSync(runFolder).length === 1, 'the record is not alone');
});

/** Opened for reading this blocks the child, until somebody opens the other end. */
const FIFO = 'hold-up';

test('a server may die as soon as it has committed, while its child is still mounting', async () => {
  const fifo = join(ground.folder, FIFO);
  execFileSync('mkfifo', [fifo]);
  const { connection, runFolder } = launch({
    config: { args: ['sh', '-c', 'exit 5'] },
    change: (plan) => withOps(plan, 'child', 1, open(100, fifo, O.rdonly)),
  });
  connection.send(REQUEST.commit, 1);
  connection.close();
  await until(() => existsSync(runFolder), 'the launch does not begin');
  // The shim has seen the end of the connection while it waited for its child.
  await new Promise((resolve) => setTimeout(resolve, 50));
  closeSync(openSync(fifo, 'w'));
  await until(() => existsSync(join(runFolder, 'exit')), 'no exit record');
  assert.equal(readExitFile(runFolder)?.exitStatus, 5);
});

test('a signal before the process exists ends the launch, committed or not', async () => {
  for (const commit of [false, true]) {
    const { connection } = launch({ change: asked('child', 3) });
    await connection.next(NOTICE.ask);
    if (commit) connection.send(REQUEST.commit, 1);
    connection.send(REQUEST.signal, SIGKILL);
    const { x } = await connection.next(NOTICE.failed);
    assert.equal(x, BigInt(ECANCELED));
    connection.close();
  }
});

test('the gate can be opened by another process through the FIFO', async () => {
  const { connection, runFolder } = launch({ config: { args: ['sh', '-c', 'exit 4'] } });
  connection.send(REQUEST.commit, 0);
  await connection.next(NOTICE.created);
  const fd = openSync(join(runFolder, 'gate'), 'w');
  writeSync(fd, '\0');
  closeSync(fd);
  await connection.next(NOTICE.started);
  assert.equal((await connection.next(NOTICE.exited)).a, 4);
  connection.close();
});

test('a start that comes before the gate is reached opens it all the same, other requests come too early', async () => {
  const { connection } = launch({ config: { args: ['sh', '-c', 'exit 4'] }, change: asked('child', 3) });
  await connection.next(NOTICE.ask);
  connection.send(REQUEST.commit, 0);
  connection.send(REQUEST.resize, 1, 1, 5);
  connection.send(REQUEST.start, 0, 0, 6);
  for (const [seq, errno] of [
    [5, EAGAIN],
    [6, 0],
  ]) {
    const reply = await connection.next(NOTICE.reply);
    assert.deepEqual([reply.seq, reply.a], [seq, errno]);
  }
  connection.send(REQUEST.answer, 0);
  assert.equal((await connection.next(NOTICE.exited)).a, 4);
  connection.close();
});

test('the control socket starts, signals and reports like the launch connection', async () => {
  const { connection, runFolder } = launch({ config: { args: ['sleep', '1000'] } });
  connection.send(REQUEST.commit, 0);
  const created = await connection.next(NOTICE.created);
  connection.close();
  const control = new RawConnection(await connectInFolder(runFolder, 'control'));
  assert.deepEqual(await control.next(NOTICE.created), created);
  control.send(REQUEST.start, 0, 0, 5);
  assert.deepEqual(
    [(await control.next(NOTICE.reply)).seq, (await control.next(NOTICE.started)).a],
    [5, created.a],
  );
  const late = new RawConnection(await connectInFolder(runFolder, 'control'));
  await late.next(NOTICE.started);
  control.send(REQUEST.signal, SIGKILL, 0, 6);
  for (const each of [control, late]) {
    const { a, b, y } = await each.next(NOTICE.exited);
    assert.deepEqual([a, b, y], [137, SIGKILL, 1n]);
    await each.end();
    each.close();
  }
  assert.equal(readExitFile(runFolder)?.exitStatus, 137);
});

test('plans that cannot be read are refused before anything is done', async () => {
  const { plan, runFolder } = ground.prepare({});
  const bytes = encodePlan(plan);
  const unsealed = join(ground.folder, 'plan');
  writeFileSync(unsealed, bytes);
  const broken: [string, Uint8Array | number][] = [
    ['empty', new Uint8Array(0)],
    ['short', bytes.subarray(0, bytes.length - 1)],
    ['of another version', Buffer.from(bytes).fill(9, 4, 5)],
    ['of another size', Buffer.concat([bytes, Buffer.alloc(8)])],
    ['no memfd', openSync('/dev/null', 'r')],
    ['a file that can still be written to', openSync(unsealed, 'r')],
  ];
  for (const [what, given] of broken) {
    const connection = zygote.launch(given);
    const { a, b, x } = await connection.next(NOTICE.failed);
    assert.equal(a, FAILED_LAUNCH, what);
    assert.equal(b, 1, what);
    assert.ok([EINVAL, 71].includes(Number(x)), `${what}: ${x}`);
    if (typeof given === 'number') closeSync(given);
    connection.close();
  }
  assert.ok(!existsSync(runFolder));
});

test('a run folder that exists is never taken over', async () => {
  const { plan, runFolder } = ground.prepare({ config: { args: ['sleep', '1000'] } });
  const first = zygote.launch(encodePlan(plan));
  await first.next(NOTICE.created);
  const state = readFileSync(join(runFolder, 'state'), 'utf8');
  // Its own cgroup: undoing the second launch must not reach the first.
  const second = zygote.launch(encodePlan({ ...plan, sections: { ...plan.sections, 'after-exit': [] } }));
  const { a, b, x } = await second.next(NOTICE.failed);
  assert.deepEqual([a, b, x], [0, 0, 17n]);
  assert.equal(readFileSync(join(runFolder, 'state'), 'utf8'), state);
  first.close();
  second.close();
});

test('a failure is told with its section, step and errno', async () => {
  const { connection, plan } = ground.start({ config: { args: ['/no/such'] } });
  await assert.rejects(connection.exited, (error: LaunchFailure) => {
    assert.ok(error instanceof LaunchFailure);
    assert.deepEqual([error.section, error.index, error.errno], [2, childLength() - 1, 'ENOENT']);
    assert.equal(plan.sections.child[error.index]?.name, 'exec');
    return true;
  });
  connection.close();
});

test('junk on its socket ends a zygote, and nothing that it started', async () => {
  const own = new RawZygote(SHIM_PROGRAM, `mydocker-zygote ${ground.state}`.padEnd(200));
  const { plan, runFolder } = ground.prepare({ config: { args: ['sleep', '1000'] } });
  const connection = own.launch(encodePlan(plan));
  connection.send(REQUEST.commit, 1);
  await connection.next(NOTICE.started);
  const gone = new Promise((resolve) => own.process.once('exit', resolve));
  const fd = sealedMemfd('junk', Buffer.from('junk'));
  own.request(Buffer.from('12345678'), [fd, fd]);
  closeSync(fd);
  await gone;
  connection.send(REQUEST.signal, SIGKILL, 0, 1);
  assert.equal((await connection.next(NOTICE.exited)).b, SIGKILL);
  assert.equal(readExitFile(runFolder)?.signal, SIGKILL);
  connection.close();
  own.close();
});

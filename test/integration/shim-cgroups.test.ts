/** Control groups without a shim: made for a server, emptied and removed when a shim could not do it. @vm */
import '../harness/enter.ts';
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import {
  type CgroupLayout,
  cgroupFolders,
  hierarchyOf,
  readCgroupLayout,
} from '../../server/cgroup/layout.ts';
import { makeRoom, prepareCgroupParent, removeCgroupParent } from '../../server/cgroup/parent.ts';
import { cgroupsBelow, killCgroup, reapCgroup } from '../../server/cgroup/reap.ts';
import { removeCgroups, testName } from '../harness/clean.ts';
import { exitCode, PROJECT } from '../harness/cli.ts';
import { outputOf, until } from './ground.ts';

let folder: string;
let parent: string;
let layout: CgroupLayout;
before(() => {
  folder = mkdtempSync(`/tmp/${testName('')}`);
  parent = `/${basename(folder)}`;
  layout = readCgroupLayout();
});
beforeEach(() => prepareCgroupParent(layout, parent));
after(() => {
  removeCgroups(parent);
  rmdirSync(folder);
});

/** A group below the parent in every hierarchy, with processes in it. */
function makeGroup(name: string, processes: number): ChildProcess[] {
  const folders = cgroupFolders(layout, `${parent}/${name}`);
  for (const path of folders) mkdirSync(path, { recursive: true });
  return Array.from({ length: processes }, () => {
    const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
    for (const path of folders) writeFileSync(join(path, 'cgroup.procs'), String(child.pid));
    return child;
  });
}

const exists = (path: string): boolean => cgroupFolders(layout, path).some((each) => existsSync(each));

test('the parent is made again and again, and groups below it can be joined', async () => {
  prepareCgroupParent(layout, parent);
  const [child] = makeGroup('joined', 1);
  assert.ok(child !== undefined);
  assert.ok(readFileSync(`/proc/${child.pid}/cgroup`, 'utf8').includes(`${parent}/joined`));
  await reapCgroup(layout, `${parent}/joined`);
  assert.equal(await exitCode(child), 137);
  assert.ok(!exists(`${parent}/joined`));
});

/** The layout as a machine without cgroup2 has it, where killing has no file of its own. */
const v1Of = ({ hierarchies }: CgroupLayout): CgroupLayout => ({ kind: 'v1', hierarchies });

test('what is in a group dies with it, in groups of its own too', async () => {
  for (const each of layout.kind === 'v2' ? [layout] : [layout, v1Of(layout)]) {
    const children = [...makeGroup('tree', 2), ...makeGroup('tree/of', 1), ...makeGroup('tree/of/groups', 2)];
    await reapCgroup(each, `${parent}/tree`);
    for (const child of children) assert.equal(await exitCode(child), 137);
    assert.ok(!cgroupFolders(each, `${parent}/tree`).some((path) => existsSync(path)));
  }
  await reapCgroup(layout, `${parent}/tree`);
});

test('frozen processes die too', async () => {
  const [child] = makeGroup('frozen', 1);
  const freezer = hierarchyOf(layout, 'freezer');
  const [file, value] =
    freezer === undefined
      ? [`${layout.unified}${parent}/frozen/cgroup.freeze`, '1']
      : [`${freezer}${parent}/frozen/freezer.state`, 'FROZEN'];
  writeFileSync(file, value);
  await reapCgroup(layout, `${parent}/frozen`);
  assert.ok(child !== undefined);
  assert.equal(await exitCode(child), 137);
});

test('a group that is not there is nothing to do', async () => {
  assert.equal(killCgroup(layout, `${parent}/nothing`), false);
  await reapCgroup(layout, `${parent}/nothing`);
  makeGroup('empty', 0);
  assert.equal(killCgroup(layout, `${parent}/empty`), false);
  await reapCgroup(layout, `${parent}/empty`);
  assert.ok(!exists(`${parent}/empty`));
});

test('groups below the parent are found, each once', async () => {
  assert.deepEqual(cgroupsBelow(layout, parent), []);
  const children = [...makeGroup('a', 1), ...makeGroup('b', 0)];
  assert.deepEqual(cgroupsBelow(layout, parent).sort(), ['a', 'b']);
  assert.deepEqual(cgroupsBelow(layout, `${parent}-other`), []);
  for (const name of ['a', 'b']) await reapCgroup(layout, `${parent}/${name}`);
  for (const child of children) await exitCode(child);
});

test('the parent goes when it is empty and stays when it is not', async () => {
  const children = makeGroup('alive', 1);
  removeCgroupParent(layout, parent);
  assert.ok(exists(`${parent}/alive`));
  await reapCgroup(layout, `${parent}/alive`);
  for (const child of children) await exitCode(child);
  removeCgroupParent(layout, parent);
  assert.ok(!exists(parent));
});

test('a server in the group that it was given makes room for groups with controllers', async (t) => {
  if (layout.unified === undefined) return t.skip('no cgroup2');
  const group = `${layout.unified}${parent}/given`;
  const [other] = makeGroup('given', 1);
  const script = `import { makeRoom } from '${PROJECT}/server/cgroup/parent.ts';
    process.stdin.once('data', () => process.stdout.write(String(makeRoom('${group}'))));`;
  const server = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const answer = outputOf(server);
  assert.equal(makeRoom(group), false, 'not its own');
  writeFileSync(`${group}/cgroup.procs`, String(server.pid));
  server.stdin.write('go');
  await until(answer, (text) => text === 'true');
  assert.equal(readFileSync(`${group}/cgroup.procs`, 'utf8'), '');
  const moved = readFileSync(`${group}/mydockerd/cgroup.procs`, 'utf8').trim().split('\n').map(Number);
  assert.deepEqual(moved.toSorted(), [other?.pid, server.pid].toSorted());
  // The next server does not take its own group for a container's.
  assert.deepEqual(cgroupsBelow(layout, `${parent}/given`), []);
  await reapCgroup(layout, `${parent}/given`);
  for (const child of [other, server]) assert.equal(await exitCode(child as ChildProcess), 137);
});

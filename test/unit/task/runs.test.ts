import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exit } from '../../../server/model/container.ts';
import { type LiveRun, Runs } from '../../../server/task/runs.ts';

const EXIT: Exit = {
  exitStatus: 3,
  signal: 0,
  oomKilled: false,
  exitedAt: 1n,
  reason: 'exited',
  message: '',
};

const run = (containerId: string, runId: string, kind: 'init' | 'exec' = 'init'): LiveRun =>
  ({ containerId, runId, kind, folder: `/run/${runId}` }) as LiveRun;

test('runs are found by run id and by container', () => {
  const runs = new Runs();
  const [init, one, two, other] = [
    run('a', '1'),
    run('a', '2', 'exec'),
    run('a', '3', 'exec'),
    run('b', '4'),
  ];
  for (const each of [init, one, two, other]) runs.add(each);
  assert.equal(runs.get('2'), one);
  assert.equal(runs.initOf('a'), init);
  assert.deepEqual(runs.execsOf('a'), [one, two]);
  assert.deepEqual(runs.execsOf('b'), []);
  assert.deepEqual(runs.all(), [init, one, two, other]);
});

test('what has ended is remembered by its run id and found no more', () => {
  const runs = new Runs();
  const [init, exec] = [run('a', '1'), run('a', '2', 'exec')];
  runs.add(init);
  runs.add(exec);
  runs.remove(exec, EXIT);
  assert.deepEqual([runs.get('2'), runs.execsOf('a')], [undefined, []]);
  assert.deepEqual(runs.endOf('2'), { containerId: 'a', runId: '2', exit: EXIT });
  runs.remove(init, EXIT);
  assert.equal(runs.initOf('a'), undefined);
  assert.deepEqual(runs.all(), []);
});

test('a run that ends late does not take the next one of its container away', () => {
  const runs = new Runs();
  const [first, second] = [run('a', '1'), run('a', '2')];
  runs.add(first);
  runs.add(second);
  runs.remove(first, EXIT);
  assert.equal(runs.initOf('a'), second);
});

test('only so many ends are remembered, the oldest go', () => {
  const runs = new Runs();
  for (let i = 0; i < 5000; i++) {
    const each = run('a', String(i));
    runs.add(each);
    runs.remove(each, EXIT);
  }
  assert.equal(runs.endOf('0'), undefined);
  assert.equal(runs.endOf('4999')?.exit, EXIT);
});

/** Undo runs backwards, completely, and never hides the error that made it run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UndoStack } from '../../../server/model/undo.ts';

test('teardown runs newest first and one after the other', async () => {
  const order: string[] = [];
  const undo = new UndoStack();
  undo.push('remove a', async () => {
    await new Promise((resolve) => setTimeout(resolve, 2));
    order.push('a');
  });
  undo.push('remove b', () => {
    order.push('b');
  });
  await undo.teardown();
  assert.deepEqual(order, ['b', 'a']);
  await undo.teardown();
  assert.deepEqual(order, ['b', 'a']);
});

test('a committed stack undoes nothing', async () => {
  await using undo = new UndoStack();
  undo.push('fail the test', () => assert.fail());
  undo.commit();
});

test('moved steps belong to the new stack alone', async () => {
  let runs = 0;
  const first = new UndoStack();
  first.push('count', () => {
    runs += 1;
  });
  const second = first.move();
  await first.teardown();
  assert.equal(runs, 0);
  await second.teardown();
  assert.equal(runs, 1);
});

test('all steps run though some fail, and the failures come as one AggregateError', async () => {
  let ran = false;
  const undo = new UndoStack();
  undo.push('remove first', () => {
    ran = true;
  });
  undo.push('remove second', () => {
    throw new Error('EBUSY');
  });
  undo.push('remove third', () => Promise.reject(new Error('EIO')));
  await assert.rejects(undo.teardown(), (error: AggregateError) => {
    assert.deepEqual(
      error.errors.map((e: Error) => e.message),
      ['cannot remove third: EIO', 'cannot remove second: EBUSY'],
    );
    return true;
  });
  assert.ok(ran);
});

test('with a report the error of the operation comes out as it is', async () => {
  const reported: string[] = [];
  const operation = async (): Promise<void> => {
    await using undo = new UndoStack((label) => reported.push(label));
    undo.push('remove cgroup', () => {
      throw new Error('EBUSY');
    });
    throw new TypeError('the real one');
  };
  await assert.rejects(operation(), TypeError);
  assert.deepEqual(reported, ['cannot remove cgroup: EBUSY']);
});

/** So many at a time, in their order, and without those who left. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slots } from '../../../server/registry/slots.ts';

test('the next one goes when one is done, and who left is passed over', async () => {
  const slots = new Slots(2);
  const { signal } = new AbortController();
  const order: number[] = [];
  const first = await slots.take(signal);
  const second = await slots.take(signal);
  const leaving = new AbortController();
  const left = assert.rejects(slots.take(leaving.signal), /gone/);
  const waiting = [1, 2].map(async (each) => {
    using _slot = await slots.take(signal);
    order.push(each);
  });
  leaving.abort(new Error('gone'));
  await left;
  assert.deepEqual(order, []);
  first[Symbol.dispose]();
  await Promise.all(waiting);
  assert.deepEqual(order, [1, 2]);
  second[Symbol.dispose]();
  for (const slot of [await slots.take(signal), await slots.take(signal)]) slot[Symbol.dispose]();
  await assert.rejects(slots.take(AbortSignal.abort(new Error('before'))), /before/);
});

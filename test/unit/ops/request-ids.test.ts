/** A repeated request has its effect once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cancelled, internal } from '../../../server/model/error.ts';
import { RequestIds } from '../../../server/ops/request-ids.ts';

const request = { rpc: 'Create', requestId: 'r1', fingerprint: 'f' };

/** Work that counts how often it was done. */
function counter(): { work: () => Promise<number>; count: () => number } {
  let count = 0;
  return { work: async () => ++count, count: () => count };
}

test('a repetition gets the first answer', async () => {
  const ids = new RequestIds();
  const { work, count } = counter();
  assert.equal(await ids.run(request, work), 1);
  assert.equal(await ids.run(request, work), 1);
  assert.equal(await ids.run({ ...request, rpc: 'Remove' }, work), 2);
  assert.equal(await ids.run({ ...request, requestId: 'r2' }, work), 3);
  assert.equal(count(), 3);
});

test('repetitions at the same time share one work', async () => {
  const ids = new RequestIds();
  const { promise, resolve } = Promise.withResolvers<string>();
  let count = 0;
  const work = (): Promise<string> => {
    count += 1;
    return promise;
  };
  const answers = [ids.run(request, work), ids.run(request, work)];
  resolve('done');
  assert.deepEqual(await Promise.all(answers), ['done', 'done']);
  assert.equal(count, 1);
});

test('the id of another request is refused', async () => {
  const ids = new RequestIds();
  const { work } = counter();
  await ids.run(request, work);
  await assert.rejects(ids.run({ ...request, fingerprint: 'g' }, work), {
    code: 'already-exists',
    reason: 'REQUEST_ID_REUSED',
  });
  await assert.rejects(ids.run({ ...request, requestId: 'x'.repeat(65) }, work), {
    reason: 'REQUEST_ID_INVALID',
  });
});

test('a failure is not kept', async () => {
  const ids = new RequestIds();
  await assert.rejects(ids.run(request, () => Promise.reject(internal('no'))));
  await assert.rejects(
    ids.run(request, () => {
      throw internal('no');
    }),
  );
  assert.equal(await ids.run(request, async () => 'yes'), 'yes');
});

test('who waits for work that was cancelled does it himself', async () => {
  const ids = new RequestIds();
  const { promise, reject } = Promise.withResolvers<string>();
  const first = ids.run(request, () => promise);
  const second = ids.run(request, async () => 'mine');
  reject(cancelled('the first client left'));
  await assert.rejects(first, { code: 'cancelled' });
  assert.equal(await second, 'mine');
});

test('an answer is forgotten after ten minutes, and the oldest when there are too many', async () => {
  let now = 1;
  const ids = new RequestIds(() => now);
  const { work } = counter();
  assert.equal(await ids.run(request, work), 1);
  now += 599_999;
  assert.equal(await ids.run(request, work), 1);
  now += 2;
  assert.equal(await ids.run(request, work), 2);
  for (let i = 0; i < 5000; i += 1) await ids.run({ ...request, requestId: `many ${i}` }, work);
  assert.equal(await ids.run({ ...request, requestId: 'many 4999' }, work), 5002);
  assert.equal(await ids.run(request, work), 5003);
});

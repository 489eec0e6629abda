/** The event log: order, no gap between history and live, bounds, trimming. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { configureFailpoints } from '../../../server/failpoint.ts';
import type { EventInput, EventRecord } from '../../../server/model/event.ts';
import type { Store } from '../../../server/store/store.ts';
import { container, open, tempRoot } from './records.ts';

afterEach(() => configureFailpoints(undefined));

const said = (n: number): EventInput => ({
  type: 'system.test',
  kind: 'system',
  id: '',
  attributes: { n: String(n) },
});
const numbers = (events: readonly EventRecord[]): (string | undefined)[] =>
  events.map((e) => e.attributes?.['n']);
const history = (store: Store, after = 0n): Promise<EventRecord[]> =>
  Array.fromAsync(store.events.since(after, { follow: false }));

test('an event comes with its record or not at all, and stays', async (t) => {
  const root = tempRoot(t);
  const store = await open(t, root);
  const web = container('web');
  const exit = {
    exitStatus: 0,
    signal: 0,
    oomKilled: false,
    exitedAt: 5n,
    reason: 'exited',
    message: '',
  } as const;
  await store.containers.put(web, { event: { type: 'container.create', kind: 'container', id: web.id } });
  await store.events.append({
    type: 'container.exit',
    kind: 'container',
    id: web.id,
    runId: '0'.repeat(16),
    exit,
  });
  await store.close();
  const again = await open(t, root);
  const events = await history(again);
  assert.deepEqual(
    events.map((e) => [e.seq, e.type, e.id]),
    [
      [1n, 'container.create', web.id],
      [2n, 'container.exit', web.id],
    ],
  );
  assert.deepEqual(events[1]?.exit, exit);
  assert.equal(again.events.lastSeq, 2n);
  assert.equal((await again.events.append(said(1))).seq, 3n);
});

test('a reader never sees an event before the ones in front of it are written', async (t) => {
  const store = await open(t, tempRoot(t));
  const seen: bigint[] = [];
  const stop = new AbortController();
  const reading = (async () => {
    for await (const event of store.events.since(0n, { signal: stop.signal })) {
      seen.push(event.seq);
      assert.ok(event.seq <= store.events.lastSeq);
      if (event.seq === 500n) stop.abort();
    }
  })();
  await Promise.all(
    Array.from({ length: 500 }, (_, i) =>
      store.containers.put(container(`c${i}`), {
        sync: i % 3 === 0,
        event: { type: 'container.create', kind: 'container', id: '' },
      }),
    ),
  );
  await reading;
  assert.deepEqual(
    seen,
    Array.from({ length: 500 }, (_, i) => BigInt(i + 1)),
  );
});

test('history passes into live without a gap or a double', async (t) => {
  const store = await open(t, tempRoot(t));
  for (let n = 1; n <= 1_200; n += 1) void store.events.append(said(n), { sync: false });
  await store.flush();
  const seen: EventRecord[] = [];
  for await (const event of store.events.since(100n)) {
    seen.push(event);
    if (seen.length === 300) void Promise.all([1201, 1202].map((n) => store.events.append(said(n))));
    if (seen.length === 1_102) break;
  }
  assert.deepEqual(
    numbers(seen),
    Array.from({ length: 1_102 }, (_, i) => String(i + 101)),
  );
});

test('a reader that is too slow is told so, the writer is not held up', async (t) => {
  const store = await open(t, tempRoot(t));
  const reader = store.events.since(0n);
  const first = reader.next();
  await store.events.append(said(1));
  assert.equal((await first).value?.seq, 1n);
  await Promise.all(Array.from({ length: 5_000 }, (_, i) => store.events.append(said(i), { sync: false })));
  let got = 0;
  await assert.rejects(
    async () => {
      for await (const _ of reader) got += 1;
    },
    { code: 'resource-exhausted', reason: 'EVENT_READER_TOO_SLOW' },
  );
  assert.ok(got > 0 && got <= 4_096);
});

test('readers end with the signal and with the store', async (t) => {
  const store = await open(t, tempRoot(t));
  const stop = new AbortController();
  const aborted = Array.fromAsync(store.events.since(0n, { signal: stop.signal }));
  const closed = Array.fromAsync(store.events.since(0n));
  await store.events.append(said(1));
  stop.abort();
  assert.equal((await aborted).length, 1);
  await store.close();
  assert.equal((await closed).length, 1);
  assert.deepEqual(await Array.fromAsync(store.events.since(0n, { signal: AbortSignal.abort() })), []);
});

test('old events are trimmed, numbers go on', async (t) => {
  const root = tempRoot(t);
  const store = await open(t, root, { maxEvents: 100 });
  for (let n = 1; n <= 1_000; n += 1) await store.events.append(said(n), { sync: false });
  await store.flush();
  const left = await history(store);
  assert.ok(left.length >= 100 && left.length <= 112, `${left.length} left`);
  assert.equal(left.at(-1)?.seq, 1_000n);
  assert.equal(left[0]?.seq, store.events.firstSeq);
  await store.close();
  const again = await open(t, root, { maxEvents: 100 });
  assert.ok(!again.openReport.damaged);
  assert.equal(again.events.firstSeq, left[0]?.seq);
  assert.equal((await again.events.append(said(0))).seq, 1_001n);
});

test('a failed write leaves a hole in the numbers and no event', async (t) => {
  const store = await open(t, tempRoot(t));
  await store.events.append(said(1));
  const live = store.events.since(0n);
  assert.equal((await live.next()).value?.seq, 1n);
  configureFailpoints('store.written=1*error');
  await assert.rejects(store.events.append(said(2)), { code: 'unavailable' });
  await store.events.append(said(3));
  assert.deepEqual((await live.next()).value?.attributes, { n: '3' });
  assert.deepEqual(numbers(await history(store)), ['1', '3']);
});

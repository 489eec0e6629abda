/** The event log as one client asks for it. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { EventInput } from '../../../server/model/event.ts';
import {
  type EventPage,
  type SubscribeRequest,
  subscribeEvents,
} from '../../../server/ops/subscribe-events.ts';
import { type EngineHere, engineHere } from './engine-here.ts';

let here: EngineHere;

beforeEach(async () => {
  here = await engineHere();
});

afterEach(() => here[Symbol.asyncDispose]());

const ID = 'a'.repeat(64);

const happen = (type: string, more: Partial<EventInput> = {}): Promise<{ seq: bigint; at: bigint }> =>
  here.engine.store.events.append({ type, kind: 'container', id: ID, ...more }, { sync: false });

function subscribe(request: Partial<SubscribeRequest>): AsyncGenerator<EventPage, undefined> {
  return subscribeEvents(here.engine, {
    ...{ follow: false, wantsType: () => true, containers: [], images: [], networks: [], volumes: [] },
    labels: [],
    abort: new AbortController().signal,
    ...request,
  });
}

const types = async (request: Partial<SubscribeRequest>): Promise<string[]> =>
  (await Array.fromAsync(subscribe(request))).flatMap((page) => page.events.map(({ type }) => type));

const ALL = { start: { afterSeq: 0n } } as const;

test('what is kept comes in pages, and exactly one says that it was all', async () => {
  for (let i = 0; i < 250; i += 1) await happen(`container.${i}`);
  const pages = await Array.fromAsync(subscribe(ALL));
  assert.deepEqual(
    pages.map(({ events }) => events.length),
    [100, 100, 50],
  );
  assert.deepEqual(
    pages.map(({ caughtUp }) => caughtUp),
    [false, false, true],
  );
  assert.equal(pages.at(-1)?.lastSeq, here.engine.store.events.lastSeq);
});

test('after a number, since a time, until a time', async () => {
  const one = await happen('container.one');
  const two = await happen('container.two');
  await happen('container.three');
  assert.deepEqual(await types({ start: { afterSeq: one.seq } }), ['container.two', 'container.three']);
  assert.deepEqual(await types({ start: { sinceAt: two.at } }), ['container.two', 'container.three']);
  assert.deepEqual(await types({ ...ALL, untilAt: two.at }), ['container.one']);
  assert.deepEqual(await types({}), []);
});

test('what happens later follows without a gap', async () => {
  await happen('container.old');
  const stop = new AbortController();
  const pages = subscribe({ ...ALL, follow: true, abort: stop.signal });
  const next = async (): Promise<EventPage | undefined> => (await pages.next()).value;
  assert.equal((await next())?.caughtUp, true);
  const waiting = next();
  await happen('container.new');
  assert.deepEqual(
    (await waiting)?.events.map(({ type }) => type),
    ['container.new'],
  );
  const last = next();
  stop.abort();
  assert.equal(await last, undefined);
});

test('a time that lies ahead ends the following', async () => {
  const pages = await Array.fromAsync(
    subscribe({ ...ALL, follow: true, untilAt: BigInt(Date.now() + 300) * 1_000_000n }),
  );
  assert.equal(pages.length, 1);
});

test('conditions join: kind, type, container, image', async () => {
  await happen('container.create', { attributes: { name: 'web', image: 'redis:7' } });
  await happen('container.create', { id: 'b'.repeat(64), attributes: { name: 'db', image: 'mysql' } });
  await happen('image.tag', {
    kind: 'image',
    id: `sha256:${ID}`,
    attributes: { reference: 'docker.io/library/redis:7' },
  });
  assert.deepEqual(await types({ ...ALL, kinds: ['image'] }), ['image.tag']);
  assert.deepEqual(await types({ ...ALL, kinds: [] }), []);
  assert.deepEqual(await types({ ...ALL, wantsType: (type) => type === 'image.tag' }), ['image.tag']);
  assert.equal((await types({ ...ALL, containers: ['web'] })).length, 1);
  assert.equal((await types({ ...ALL, containers: ['aaaaaaaa', 'db'] })).length, 2);
  assert.deepEqual(await types({ ...ALL, images: ['redis:7'] }), ['container.create', 'image.tag']);
  assert.deepEqual(await types({ ...ALL, labels: [{ key: 'x', absent: false }] }), []);
  assert.equal((await types({ ...ALL, labels: [{ key: 'x', absent: true }] })).length, 3);
});

test('events that are not kept any more are told, not left out', async () => {
  const { events } = here.engine.store;
  const trimmed = {
    ...here.engine,
    store: { ...here.engine.store, events: Object.create(events, { firstSeq: { value: 10n } }) },
  };
  const request = {
    follow: false,
    wantsType: () => true,
    containers: [],
    images: [],
    networks: [],
    volumes: [],
    labels: [],
  };
  const abort = new AbortController().signal;
  const from = (afterSeq: bigint): Promise<unknown> =>
    subscribeEvents(trimmed, { ...request, abort, start: { afterSeq } }).next();
  await assert.rejects(from(5n), {
    code: 'out-of-range',
    reason: 'EVENTS_GONE',
    metadata: { oldest_seq: '10' },
  });
});

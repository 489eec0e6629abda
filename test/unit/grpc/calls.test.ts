/** How calls end: by themselves, by their client, by their deadline, with the server; and what fails in them. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ServiceError, status } from '@grpc/grpc-js';
import type { Event } from '../../../proto/gen/mydocker/v1/events.ts';
import { configureFailpoints } from '../../../server/failpoint.ts';
import { openApi } from '../../harness/api.ts';
import { addImage } from '../ops/engine-here.ts';
import { refusalOf, type Served, serveHere, wireError } from './serve-here.ts';

let served: Served;

before(async () => {
  served = await serveHere();
  await addImage(served.here.engine, 'docker.io/library/box:latest', { command: ['sh'] });
});

afterEach(() => configureFailpoints(undefined));
after(() => served[Symbol.asyncDispose]());

const create = (name: string, options?: object): Promise<{ id: string }> =>
  served.api.containers.createContainer(
    { name, config: { rootfs: { $case: 'image', value: 'box' } } },
    options,
  );

for (const term of ['panic(boom)', 'error(no)'] as const) {
  test(`a handler that fails (${term}) fails its call alone`, async () => {
    configureFailpoints(`create.begin=1*${term}`);
    const { code, message } = await refusalOf(create('one'));
    assert.equal(code, status.INTERNAL);
    assert.equal(message, term === 'error(no)' ? 'no' : 'internal error; see the log of the server');
    assert.ok(
      served.logged.some(
        ({ level, fields }) => level === 'error' && String(fields['rpc']).endsWith('/CreateContainer'),
      ),
    );
    const { id } = await create('one');
    await served.api.containers.removeContainer({ container: id });
  });
}

test('a call whose deadline passes ends, and its answer is nobody’s', async () => {
  // A connection that is there already, so that the call is with the server before its deadline.
  await served.api.containers.listContainers({});
  configureFailpoints('create.begin=1*delay(800)');
  await assert.rejects(create('late', { deadline: Date.now() + 400 }), { code: status.DEADLINE_EXCEEDED });
  const remove = (): Promise<boolean> =>
    served.api.containers.removeContainer({ container: 'late' }).then(
      () => true,
      () => false,
    );
  while (!(await remove())) await sleep(20);
});

test('a stream that its client leaves ends on the server', async () => {
  const stream = served.api.events.subscribeEvents({});
  await new Promise((resolve) => stream.once('data', resolve));
  const ended = new Promise<ServiceError>((resolve) => stream.once('error', resolve));
  stream.cancel();
  assert.equal((await ended).code, status.CANCELLED);
  await create('seen');
  await served.api.containers.removeContainer({ container: 'seen' });
});

test('a reader that does not read is waited for, not buffered for', async () => {
  const stream = served.api.events.subscribeEvents({ start: { $case: 'afterSeq', value: 0n } });
  stream.pause();
  // As much as fits into no window: the server must stop asking the log for more.
  const attributes = { text: 'x'.repeat(64_000) };
  for (let i = 0; i < 300; i += 1)
    await served.here.engine.store.events.append(
      { type: 'container.x', kind: 'container', id: '', attributes },
      { sync: false },
    );
  await sleep(100);
  let seen = 0;
  stream.on('data', ({ events }: { events: unknown[] }) => {
    seen += events.length;
  });
  stream.on('error', () => undefined);
  stream.resume();
  for (let tries = 0; seen < 300 && tries < 200; tries += 1) await sleep(20);
  assert.ok(seen >= 300);
  stream.cancel();
});

test('events come as the contract tells them', async () => {
  const seq = served.here.engine.store.events.lastSeq;
  const { id } = await create('told');
  await served.api.containers.renameContainer({ container: id, newName: 'told2' });
  await served.api.containers.removeContainer({ container: id });
  const pages = await Array.fromAsync(
    served.api.events.subscribeEvents({ start: { $case: 'afterSeq', value: seq }, noFollow: true }),
  );
  const [page] = pages;
  assert.equal(pages.length, 1);
  assert.equal(page?.caughtUp, true);
  assert.deepEqual(
    page?.events.map(({ subject, action, name }: Event) => [subject, action, name]),
    [
      [1, 1, 'told'],
      [1, 10, 'told2'],
      [1, 12, 'told2'],
    ],
  );
  assert.deepEqual(page?.events[1]?.attributes, { old_name: 'told' });
  assert.equal(page?.events[0]?.image, 'box');
  const gone = await refusalOf(
    Array.fromAsync(
      served.api.events.subscribeEvents({ start: { $case: 'sinceAt', value: { seconds: -1n, nanos: 0 } } }),
    ),
  );
  assert.equal(gone.reason, 'TIME_INVALID');
});

test('an unknown enum number is refused', async () => {
  const { code, reason } = await refusalOf(
    Array.fromAsync(served.api.containers.listContainers({ statuses: [99 as 1] })),
  );
  assert.deepEqual([code, reason], [status.INVALID_ARGUMENT, 'ENUM_UNKNOWN']);
});

test('a server that stops ends its calls in words, and its socket is gone', async () => {
  const other = await serveHere();
  const api = openApi(other.address);
  const stream = api.events.subscribeEvents({});
  await new Promise((resolve) => stream.once('data', resolve));
  const ended = new Promise<ServiceError>((resolve) => stream.once('error', resolve));
  const began = performance.now();
  await other.server.stop();
  assert.deepEqual(
    [wireError(await ended).code, wireError(await ended).reason],
    [status.UNAVAILABLE, 'SERVER_STOPPING'],
  );
  assert.ok(performance.now() - began < 2000);
  await assert.rejects(api.system.ping({}, { deadline: Date.now() + 500 }));
  api.close();
  await other[Symbol.asyncDispose]();
});

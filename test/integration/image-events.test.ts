/** What is told about images: an event for each change, with the image's rev, once for each request. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { type Event, EventAction, EventSubject } from '../../proto/gen/mydocker/v1/events.ts';
import { ociArchive, packImage } from '../fixtures/image-archive.ts';
import { rawTar } from '../fixtures/raw-tar.ts';
import { type Host, startHost } from '../harness/host.ts';
import { importEntries } from './ground.ts';

let host: Host;
/** The last event before the test. */
let from = 0n;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
beforeEach(async () => {
  from = (await host.api.system.getInfo({})).server?.lastEventSeq ?? 0n;
});
after(() => host.dispose());

const full = (name: string): string => `docker.io/library/${name}`;

async function events(): Promise<Event[]> {
  const found: Event[] = [];
  const request = { start: { $case: 'afterSeq', value: from }, noFollow: true } as const;
  for await (const page of host.api.events.subscribeEvents(request)) found.push(...page.events);
  return found;
}

/** Kind, name, rev and details of each. */
const brief = (all: readonly Event[]): unknown[] =>
  all.map(({ action, name, rev, attributes }) => [
    Object.keys(EventAction).find((word) => EventAction[word as keyof typeof EventAction] === action),
    name,
    Number(rev),
    attributes,
  ]);

const revOf = async (image: string): Promise<bigint> =>
  (await host.api.images.getImage({ image })).image?.rev ?? 0n;

test('import, tag, a tag that moves, untag, removal, load', async () => {
  const first = await importEntries(host, 'e:1', [{ name: 'v', data: '1' }]);
  await host.ok(['tag', 'e:1', 'e:2']);
  const second = await importEntries(host, 'e:3', [{ name: 'v', data: '2' }]);
  await host.ok(['tag', 'e:3', 'e:2']);
  assert.equal(await revOf('e:2'), 2n);
  await host.ok(['rmi', 'e:2']);
  await host.ok(['rmi', 'e:3', 'e:1']);
  const layer = rawTar([{ name: 'f', data: 'x' }]);
  await host.ok(['load'], { stdin: ociArchive(packImage({ layers: [layer] }), full('e:4')) });
  await host.ok(['rmi', 'e:4']);
  const all = await events();
  assert.ok(all.every(({ subject }) => subject === EventSubject.IMAGE));
  const untag = { reference: full('e:2') };
  assert.deepEqual(brief(all), [
    ['IMPORT', full('e:1'), 1, { reference: full('e:1') }],
    ['TAG', full('e:2'), 2, { reference: full('e:2') }],
    ['IMPORT', full('e:3'), 1, { reference: full('e:3') }],
    ['TAG', full('e:2'), 2, { reference: full('e:2'), previous_image_id: first }],
    ['UNTAG', full('e:2'), 3, untag],
    ['REMOVE', '', 4, { references: full('e:3') }],
    ['REMOVE', '', 4, { references: full('e:1') }],
    ['LOAD', full('e:4'), 1, { reference: full('e:4') }],
    ['REMOVE', '', 2, { references: full('e:4') }],
  ]);
  assert.deepEqual([all[3]?.id, all[5]?.id, all[6]?.id], [second, second, first]);
});

test('containers: the rev that a client can ask for', async () => {
  await host.ok(['create', '--name', 'web', 'busybox', 'true']);
  await host.ok(['rename', 'web', 'web2']);
  const rev = (await host.api.containers.getContainer({ container: 'web2' })).container?.rev;
  await host.ok(['rm', 'web2']);
  const all = await events();
  assert.deepEqual(
    all.map((event) => event.rev),
    [1n, rev, (rev ?? 0n) + 1n],
  );
});

test('prunes tell what they removed, then how much', async () => {
  const image = await importEntries(host, '', [{ name: 'p', data: 'x' }]);
  await host.ok(['create', '--name', 'old', 'busybox', 'true']);
  const { reclaimedBytes } = await host.api.system.pruneSystem({});
  const all = await events();
  assert.deepEqual(
    brief(all).map((event) => (event as [string])[0]),
    ['IMPORT', 'CREATE', 'REMOVE', 'PRUNE', 'REMOVE', 'PRUNE'],
  );
  assert.equal(all[4]?.id, image);
  const told = [all[3], all[5]].map((event) => BigInt(event?.attributes['reclaimed_bytes'] ?? '-1'));
  assert.equal(
    told.reduce((sum, bytes) => sum + bytes, 0n),
    reclaimedBytes,
  );
});

test('a request that comes again has its answer and no second effect', async () => {
  await importEntries(host, 'r:1', [{ name: 'r', data: 'x' }]);
  const { images, containers } = host.api;
  const requestId = (): string => randomUUID();
  const tag = { requestId: requestId(), image: 'r:1', reference: 'r:2' };
  assert.deepEqual(await images.tagImage(tag), await images.tagImage(tag));
  const remove = { requestId: requestId(), image: 'r:1' };
  assert.deepEqual(await images.removeImage(remove), await images.removeImage(remove));
  await assert.rejects(images.removeImage({ ...remove, image: 'r:2' }), /the id came with another request/);
  const prune = { requestId: requestId(), all: true, filter: { labels: [{ key: 'nosuch', absent: true }] } };
  const pruned = await images.pruneImages(prune);
  assert.deepEqual([pruned.untagged.length, await images.pruneImages(prune)], [2, pruned]);
  await host.importFixture('busybox');
  await host.ok(['create', '--name', 'again', 'busybox', 'true']);
  const clear = { requestId: requestId() };
  const cleared = await containers.pruneContainers(clear);
  assert.deepEqual([cleared.removed.length, await containers.pruneContainers(clear)], [1, cleared]);
  const counts = brief(await events()).map((event) => (event as [string])[0]);
  assert.equal(counts.filter((action) => action === 'PRUNE').length, 2);
});

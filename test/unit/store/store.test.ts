/** Records, revisions, names and references, in memory and after a reopening. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { configureFailpoints } from '../../../server/failpoint.ts';
import { digestOf } from '../../../server/model/digest.ts';
import { newId } from '../../../server/model/ids.ts';
import { SCHEMA_KEY, SCHEMA_VERSION, TALLY_KEY } from '../../../server/store/schema.ts';
import { container, image, layer, open, tempRoot } from './records.ts';

afterEach(() => configureFailpoints(undefined));

test('a record is kept over a reopening, with rev and times set by the store', async (t) => {
  const root = tempRoot(t);
  const store = await open(t, root);
  const first = await store.containers.put(container('web'));
  assert.equal(first.rev, 1n);
  assert.ok(first.createdAt > 0n && first.updatedAt >= first.createdAt);
  const second = await store.containers.update(first.id, (c) => ({ ...c, status: 'starting' }));
  assert.equal(second.rev, 2n);
  assert.equal(second.createdAt, first.createdAt);
  await store.meta.set('bootId', 'boot-1');
  await store.close();
  const again = await open(t, root);
  assert.deepEqual(again.openReport, {
    damaged: false,
    reasons: [],
    dropped: [],
    rebuilt: [],
    lost: [],
    orphans: [],
  });
  assert.deepEqual(again.containers.get(first.id), second);
  assert.equal(again.containers.idByName('web'), first.id);
  assert.deepEqual(again.containers.ids(), [first.id]);
  assert.equal(again.meta.get('bootId'), 'boot-1');
});

test('lists are oldest first and ids sorted, also after a reopening', async (t) => {
  const root = tempRoot(t);
  const store = await open(t, root);
  const ids: string[] = [];
  for (const name of ['c1', 'c2', 'c3', 'c4']) ids.push((await store.containers.put(container(name))).id);
  await store.containers.update(ids[0] as string, (c) => ({ ...c, status: 'stopped' }));
  await store.containers.delete(ids[1] as string);
  const left = ids.filter((_, i) => i !== 1);
  assert.deepEqual(
    store.containers.list().map((c) => c.id),
    left,
  );
  assert.deepEqual(store.containers.ids(), left.toSorted());
  await store.close();
  const again = await open(t, root);
  assert.deepEqual(
    again.containers.list().map((c) => c.id),
    left,
  );
  assert.deepEqual(again.containers.ids(), left.toSorted());
});

test('a stale revision is refused and changes nothing', async (t) => {
  const store = await open(t, tempRoot(t));
  const first = await store.containers.put(container('web'));
  const [one, two] = await Promise.allSettled([
    store.containers.put({ ...first, status: 'starting' }),
    store.containers.put({ ...first, status: 'stopped' }),
  ]);
  assert.equal(one.status, 'fulfilled');
  assert.equal(two.status === 'rejected' && two.reason.code, 'aborted');
  await assert.rejects(store.containers.put(first), { code: 'aborted', reason: 'STALE_REVISION' });
  assert.equal(store.containers.get(first.id)?.status, 'starting');
  await assert.rejects(store.containers.put({ ...first, rev: 0n }), { code: 'already-exists' });
  await assert.rejects(store.containers.put({ ...container('x'), rev: 1n }), { code: 'not-found' });
  await assert.rejects(
    store.containers.update(newId(), (c) => c),
    { code: 'not-found' },
  );
});

test('updates and deletes of one record wait for each other', async (t) => {
  const store = await open(t, tempRoot(t));
  const { id } = await store.containers.put(container('web'));
  const bump = (): Promise<unknown> =>
    store.containers.update(id, (c) => ({
      ...c,
      config: { ...c.config, stopTimeoutMs: c.config.stopTimeoutMs + 1 },
    }));
  await Promise.all(Array.from({ length: 50 }, bump));
  assert.equal(store.containers.get(id)?.config.stopTimeoutMs, 10_050);
  assert.equal(store.containers.get(id)?.rev, 51n);
  const removed = await Promise.all([store.containers.delete(id), store.containers.delete(id)]);
  assert.deepEqual(
    removed.map((c) => c?.id),
    [id, undefined],
  );
  const unchanged = await store.containers.put(container('web'));
  assert.equal(await store.containers.update(unchanged.id, (c) => c), unchanged);
});

test('of 100 parallel creates with one name exactly one wins', async (t) => {
  const store = await open(t, tempRoot(t));
  const results = await Promise.allSettled(
    Array.from({ length: 100 }, () => store.containers.put(container('web'))),
  );
  const won = results.filter((r) => r.status === 'fulfilled');
  assert.equal(won.length, 1);
  for (const r of results)
    if (r.status === 'rejected') assert.equal(r.reason.reason, 'CONTAINER_NAME_IN_USE');
  assert.equal(store.containers.size, 1);
  assert.equal(store.containers.idByName('web'), won[0]?.value.id);
});

test('a reserved name is taken at once, nobody else gets it, and disposing frees it', async (t) => {
  const store = await open(t, tempRoot(t));
  const mine = container('web');
  {
    using _held = store.containers.reserveName('web', mine.id);
    assert.ok(store.containers.isNameTaken('web'));
    assert.equal(store.containers.idByName('web'), undefined);
    assert.throws(() => store.containers.reserveName('web', newId()), { code: 'already-exists' });
    await assert.rejects(store.containers.put(container('web')), { code: 'already-exists' });
    await store.containers.put(mine);
  }
  assert.equal(store.containers.idByName('web'), mine.id);
  const unused = store.containers.reserveName('db', newId());
  unused[Symbol.dispose]();
  unused[Symbol.dispose]();
  assert.ok(!store.containers.isNameTaken('db'));
  await store.containers.put(container('db'));
});

test('a rename frees the old name with the write', async (t) => {
  const root = tempRoot(t);
  const store = await open(t, root);
  const { id } = await store.containers.put(container('old'));
  await store.containers.update(id, (c) => ({ ...c, name: 'new' }));
  assert.equal(store.containers.idByName('old'), undefined);
  assert.equal(store.containers.idByName('new'), id);
  await store.containers.put(container('old'));
  await store.containers.delete(id);
  assert.ok(!store.containers.isNameTaken('new'));
  await store.close();
  const again = await open(t, root);
  assert.ok(!again.openReport.damaged);
  assert.notEqual(again.containers.idByName('old'), undefined);
});

for (const point of ['store.write', 'store.written']) {
  test(`a write that fails at ${point} did not happen, frees the name, and the next one works`, async (t) => {
    const root = tempRoot(t);
    const store = await open(t, root);
    const kept = await store.containers.put(container('kept'));
    configureFailpoints(`${point}=1*error(no space)`);
    const failed = container('web');
    const event = { type: 'container.create', kind: 'container', id: failed.id } as const;
    await assert.rejects(store.containers.put(failed, { event }), {
      code: 'unavailable',
      reason: 'STORE_WRITE_FAILED',
    });
    assert.equal(store.containers.get(failed.id), undefined);
    assert.ok(!store.containers.isNameTaken('web'));
    const other = await store.containers.put(container('web'));
    await store.close();
    const again = await open(t, root);
    assert.deepEqual(again.openReport.reasons, []);
    assert.deepEqual(again.containers.list(), [kept, other]);
    const events = await Array.fromAsync(again.events.since(0n, { follow: false }));
    assert.deepEqual(events, []);
  });
}

test('a failed change and a failed delete leave the old record, on the disk too', async (t) => {
  const root = tempRoot(t);
  const store = await open(t, root);
  const web = await store.containers.put(container('web'));
  const db = await store.containers.put(container('db'));
  configureFailpoints('store.written=2*error');
  await assert.rejects(store.containers.update(web.id, (c) => ({ ...c, name: 'renamed' })));
  await assert.rejects(store.containers.delete(db.id));
  assert.deepEqual(store.containers.list(), [web, db]);
  await store.meta.set('instance', 'x');
  await store.close();
  const again = await open(t, root);
  assert.ok(!again.openReport.damaged);
  assert.deepEqual(again.containers.list(), [web, db]);
});

test('what is written behind is seen at once, and later changes of it come after it', async (t) => {
  const root = tempRoot(t);
  const store = await open(t, root);
  const { id } = await store.containers.put(container('web'));
  const seen = store.containers.update(id, (c) => ({ ...c, status: 'running' }), {
    sync: 'behind',
    event: { type: 'container.start', kind: 'container', id },
  });
  assert.equal(store.containers.get(id)?.status, 'running');
  const stopped = store.containers.update(id, (c) => ({ ...c, status: 'stopped' }));
  await seen;
  assert.equal((await stopped).rev, 3n);
  const events = await Array.fromAsync(store.events.since(0n, { follow: false }));
  assert.deepEqual(
    events.map(({ type, rev }) => [type, rev]),
    [['container.start', 2n]],
  );
  await store.close();
  const again = await open(t, root);
  assert.deepEqual([again.containers.get(id)?.status, again.openReport.damaged], ['stopped', false]);
});

for (const point of ['store.write', 'store.written'])
  test(`what is written behind and fails at ${point} is written with what comes next`, async (t) => {
    const root = tempRoot(t);
    const store = await open(t, root);
    const { id } = await store.containers.put(container('web'));
    configureFailpoints(`${point}=1*error(no space)`);
    const seen = await store.containers.update(id, (c) => ({ ...c, status: 'running' }), { sync: 'behind' });
    const other = container('other');
    const refused = store.containers.put(other).then(
      () => undefined,
      (error: unknown) => error,
    );
    await refused;
    assert.deepEqual([store.containers.get(id)?.status, seen.rev], ['running', 2n]);
    await store.containers.put(container('third'));
    await store.close();
    const again = await open(t, root);
    assert.equal(again.openReport.damaged, false);
    assert.deepEqual([again.containers.get(id)?.status, again.containers.get(id)?.rev], ['running', 2n]);
    assert.equal(again.containers.idByName('other') !== undefined, (await refused) === undefined);
  });

test('references point at one image each and move in one step', async (t) => {
  const root = tempRoot(t);
  const store = await open(t, root);
  const reference = 'docker.io/library/app:latest';
  const one = await store.images.put(image('one', [reference]));
  const two = await store.images.put(image('two'));
  const three = await store.images.put(image('three'));
  await assert.rejects(store.images.put(image('four', [reference])), { reason: 'REFERENCE_IN_USE' });
  await Promise.all([
    store.images.setReference(reference, two.id),
    store.images.setReference(reference, three.id),
  ]);
  assert.equal(store.images.idByReference(reference), three.id);
  assert.deepEqual(
    [one, two].map((i) => store.images.get(i.id)?.references),
    [[], []],
  );
  await assert.rejects(store.images.setReference(reference, digestOf('none')), { code: 'not-found' });
  // Of two that come with it at once the second has it, and neither is ever seen without any name it still has.
  const own = ['a', 'b'].map((name) => `docker.io/library/${name}:1`);
  const added = own.map((name) => store.images.addNamed(image(name, [reference, name])));
  const seen = new Set<string>();
  let done = false;
  const both = Promise.all(added).finally(() => {
    done = true;
  });
  while (!done) {
    for (const name of own)
      seen.add((store.images.get(image(name).id)?.references.includes(name) ?? true) ? 'named' : 'bare');
    await new Promise(setImmediate);
  }
  assert.deepEqual([...seen], ['named']);
  assert.deepEqual(
    (await both).map(({ id }) => store.images.get(id)?.references),
    [own.slice(0, 1), [reference, ...own.slice(1)]],
  );
  await assert.rejects(store.images.addNamed(image(own[0] ?? '')), { code: 'already-exists' });
  await store.images.setReference(reference, three.id);
  await Promise.all([one, two].map((i) => store.images.setReference('docker.io/library/new:1', i.id)));
  await store.close();
  const again = await open(t, root);
  assert.ok(!again.openReport.damaged);
  assert.equal(again.images.idByReference(reference), three.id);
  assert.equal(again.images.idByReference('docker.io/library/new:1'), two.id);
});

test('layer serials are never given out twice', async (t) => {
  const root = tempRoot(t);
  const store = await open(t, root);
  const serials = await Promise.all([1, 2, 3].map(() => store.layers.allocateSerial()));
  assert.deepEqual(serials, [1n, 2n, 3n]);
  await store.layers.put(layer('a', 3n));
  await store.layers.delete(digestOf('a'));
  await store.close();
  const again = await open(t, root);
  assert.equal(await again.layers.allocateSerial(), 4n);
  await again.close();
  const third = await open(t, root, { highestSerial: 9n });
  assert.equal(await third.layers.allocateSerial(), 10n);
});

test('a second server on the same root is refused, in this process and from another', async (t) => {
  const root = tempRoot(t);
  const store = await open(t, root);
  await store.containers.put(container('web'));
  await assert.rejects(open(t, root), { code: 'failed-precondition', reason: 'ROOT_IN_USE' });
  const script = `
    const { openStore } = await import(${JSON.stringify(new URL('../../../server/store/open.ts', import.meta.url).href)});
    await openStore({ root: ${JSON.stringify(root)} }).catch((e) => process.stdout.write(e.message));`;
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.equal(child.stdout, 'cannot open metadata: another server uses this root');
  await store.containers.put(container('db'));
  await store.close();
  assert.equal((await open(t, root)).containers.size, 2);
});

test('a newer schema is refused and left as it is', async (t) => {
  const root = tempRoot(t);
  await (await open(t, root)).close();
  const { reopenLevel } = await import('../../../server/store/level.ts');
  const { putOp, toBatch } = await import('../../../server/store/writer.ts');
  const db = await reopenLevel(`${root}/meta`);
  await db.batch([toBatch(putOp(SCHEMA_KEY, 999))]);
  await db.close();
  await assert.rejects(open(t, root), { code: 'failed-precondition', reason: 'SCHEMA_TOO_NEW' });
  await assert.rejects(open(t, root), { reason: 'SCHEMA_TOO_NEW' });
});

for (const [version, lacking] of [
  [1, ['volume', 'network']],
  [2, ['network']],
] as const)
  test(`a database of schema ${version} is read whole, and is of the newest afterwards`, async (t) => {
    const root = tempRoot(t);
    const first = await open(t, root);
    await first.containers.put(container('web'));
    await first.close();
    const { reopenLevel } = await import('../../../server/store/level.ts');
    const { putOp, toBatch } = await import('../../../server/store/writer.ts');
    const { decodeValue } = await import('../../../server/store/codec.ts');
    const rewrite = async (change: (tally: { counts: Record<string, number> }) => object): Promise<void> => {
      const db = await reopenLevel(`${root}/meta`);
      const tally = decodeValue(TALLY_KEY, (await db.get(TALLY_KEY)) ?? '') as {
        counts: Record<string, number>;
      };
      await db.batch([toBatch(putOp(SCHEMA_KEY, version)), toBatch(putOp(TALLY_KEY, change(tally)))]);
      await db.close();
    };
    const isKnown = ([table]: [string, number]): boolean => !lacking.some((name) => name === table);
    await rewrite(({ counts, ...tally }) => ({
      ...tally,
      counts: Object.fromEntries(Object.entries(counts).filter(isKnown)),
    }));
    rmSync(`${root}/meta.checkpoint`, { force: true });
    const second = await open(t, root);
    assert.deepEqual([second.openReport.damaged, second.containers.size], [false, 1]);
    const volume = {
      v: 1,
      rev: 0n,
      createdAt: 0n,
      updatedAt: 0n,
      name: 'v',
      anonymous: true,
      labels: {},
    } as const;
    await second.volumes.put(volume);
    const network = { v: 1, rev: 0n, createdAt: 0n, updatedAt: 0n, id: 'n', name: 'n', bridge: 'b' } as const;
    await second.networks.put({ ...network, subnet: '10.20.30.0/24', gateway: '10.20.30.1' });
    await second.close();
    const third = await open(t, root);
    assert.deepEqual([third.openReport.damaged, third.volumes.get('v')?.anonymous], [false, true]);
    assert.equal(third.networks.get('n')?.subnet, '10.20.30.0/24');
    await third.close();
    const db = await reopenLevel(`${root}/meta`);
    assert.equal(decodeValue(SCHEMA_KEY, (await db.get(SCHEMA_KEY)) ?? ''), SCHEMA_VERSION);
    await db.close();
  });

test('a closed store refuses writes and still answers reads', async (t) => {
  const store = await open(t, tempRoot(t));
  const web = await store.containers.put(container('web'), { sync: false });
  const last = store.containers.put(container('last'), { sync: false });
  await store.close();
  await last;
  assert.deepEqual(store.containers.get(web.id), web);
  await assert.rejects(store.containers.put(container('late')), {
    code: 'unavailable',
    reason: 'STORE_CLOSED',
  });
  await store.close();
});

/** Addresses of containers, on a real store and a real disk; nothing runs. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { configureFailpoints } from '../../../server/failpoint.ts';
import type { ContainerRecord } from '../../../server/model/container.ts';
import { takePlaces } from '../../../server/ops/container-places.ts';
import { createContainer } from '../../../server/ops/create-container.ts';
import { ensureDefaultNetwork, findNetwork } from '../../../server/ops/default-network.ts';
import { removeContainer } from '../../../server/ops/remove-container.ts';
import { addImage, type EngineHere, engineHere } from './engine-here.ts';

let here: EngineHere;

beforeEach(async () => {
  here = await engineHere();
  await addImage(here.engine, 'docker.io/library/box:latest', { command: ['sh'] });
});

afterEach(async () => {
  configureFailpoints(undefined);
  await here[Symbol.asyncDispose]();
});

async function create(name: string): Promise<ContainerRecord> {
  const options = { rootfs: { kind: 'image', reference: 'box' } } as const;
  return (await createContainer(here.engine, { name, options })).record;
}

const last = ({ endpoints }: Pick<ContainerRecord, 'endpoints'>): number =>
  Number(endpoints?.[0]?.ipv4.split('.').at(-1));

test('of 60 created at once no two have the same address, and none is skipped', async () => {
  const records = await Promise.all(Array.from({ length: 60 }, (_, n) => create(`box-${n}`)));
  assert.deepEqual(
    records.map(last).sort((a, b) => a - b),
    Array.from({ length: 60 }, (_, n) => n + 2),
  );
  assert.equal(here.engine.networks.held.of((await ensureDefaultNetwork(here.engine)).id).size, 0);
});

test('a create that fails gives its address to the next one', async () => {
  configureFailpoints('create.put=error');
  await assert.rejects(create('fails'));
  configureFailpoints(undefined);
  assert.equal(last(await create('next')), 2);
  await removeContainer(here.engine, { container: 'next', force: false });
  assert.equal(last(await create('again')), 2);
});

test('network and addresses are the same after the server has started again', async () => {
  const network = await ensureDefaultNetwork(here.engine);
  const { endpoints } = await create('box');
  here = await here.reopen();
  assert.deepEqual(await ensureDefaultNetwork(here.engine), network);
  const [box] = here.engine.store.containers.list();
  assert.deepEqual(box?.endpoints, endpoints);
  assert.equal(last(await create('second')), 3);
});

test('an address that its network does not have is replaced, and none stays none', async () => {
  const record = await create('box');
  const network = await ensureDefaultNetwork(here.engine);
  const foreign = [{ networkId: network.id, ipv4: '192.0.2.7', mac: '02:42:c0:00:02:07' }];
  const other = [{ networkId: 'f'.repeat(64), ipv4: record.endpoints?.[0]?.ipv4 ?? '', mac: '' }];
  {
    using places = await takePlaces(here.engine, { ...record, endpoints: foreign });
    assert.equal(last(places), 3);
  }
  await assert.rejects(takePlaces(here.engine, { ...record, endpoints: other }), { reason: 'NETWORK_LOST' });
  // Taken out of all.
  using nowhere = await takePlaces(here.engine, { ...record, endpoints: [] });
  assert.deepEqual(nowhere.endpoints, []);
  using same = await takePlaces(here.engine, record);
  assert.deepEqual(same.endpoints, record.endpoints);
  using none = await takePlaces(here.engine, { config: { ...record.config, network: 'none' } });
  assert.equal(none.endpoints, undefined);
});

test('the default network is found by all its names', async () => {
  const network = await ensureDefaultNetwork(here.engine);
  for (const text of ['default', 'bridge', network.name, network.id, network.id.slice(0, 8)])
    assert.equal((await findNetwork(here.engine, text)).id, network.id, text);
  await assert.rejects(findNetwork(here.engine, ''), { reason: 'NETWORK_MISSING' });
  for (const text of ['nosuch', '"; flush ruleset; #', '$(x)', 'f'.repeat(64), 'a\nb'])
    await assert.rejects(findNetwork(here.engine, text), { code: 'not-found', reason: 'NETWORK_NOT_FOUND' });
});

/** Containers from create to removal, on a real store and a real disk; nothing runs. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { configureFailpoints, onFailpoint } from '../../../server/failpoint.ts';
import type { ContainerRecord } from '../../../server/model/container.ts';
import type { ContainerOptions } from '../../../server/ops/container-options.ts';
import { createContainer } from '../../../server/ops/create-container.ts';
import { discardsDone } from '../../../server/ops/discard-folder.ts';
import { getContainer } from '../../../server/ops/get-container.ts';
import { type ContainerFilter, listContainers } from '../../../server/ops/list-containers.ts';
import { removeContainer } from '../../../server/ops/remove-container.ts';
import { removeImage } from '../../../server/ops/remove-image.ts';
import { renameContainer } from '../../../server/ops/rename-container.ts';
import { sweepContainers } from '../../../server/ops/sweep-containers.ts';
import { decodeJson } from '../../../server/store/codec.ts';
import { addImage, type EngineHere, engineHere } from './engine-here.ts';

let here: EngineHere;

beforeEach(async () => {
  here = await engineHere();
  await addImage(here.engine, 'docker.io/library/box:latest', { command: ['sh'], env: ['A=1'] });
});

afterEach(async () => {
  configureFailpoints(undefined);
  onFailpoint(undefined);
  await here[Symbol.asyncDispose]();
});

const BOX = { kind: 'image', reference: 'box' } as const;

async function create(name: string, options: Partial<ContainerOptions> = {}): Promise<ContainerRecord> {
  return (await createContainer(here.engine, { name, options: { rootfs: BOX, ...options } })).record;
}

/** Of what is left once everything is deleted that is on its way out. */
async function folders(): Promise<string[]> {
  await discardsDone();
  return readdirSync(`${here.engine.paths.root}/containers`).sort();
}
const names = (filter: ContainerFilter): string[] =>
  listContainers(here.engine, filter).map(({ name }) => name);

test('a created container has folders, a configuration on the disk, a record and an event', async () => {
  const record = await create('web');
  const folder = `${here.engine.paths.root}/containers/${record.id}`;
  assert.deepEqual(readdirSync(folder).sort(), ['config.json', 'logs', 'upper', 'work']);
  const modes = ['', '/logs', '/work', '/upper'].map((name) => statSync(folder + name).mode & 0o777);
  assert.deepEqual(modes, [0o700, 0o700, 0o700, 0o755]);
  const onDisk = decodeJson(readFileSync(`${folder}/config.json`, 'utf8')) as ContainerRecord;
  assert.deepEqual(onDisk.config, record.config);
  assert.equal(onDisk.name, 'web');
  assert.equal(record.rev, 1n);
  assert.equal(record.config.hostname, record.id.slice(0, 12));
  assert.equal(record.layers.length, 1);
  const events = await Array.fromAsync(here.engine.store.events.since(0n, { follow: false }));
  assert.deepEqual(events.at(-1)?.attributes, { name: 'web', image: 'box' });
  const { files } = getContainer(here.engine, 'web');
  assert.equal(files.upperDir, `${folder}/upper`);
  assert.equal(files.logFile, '');
});

test('a container without a name gets one', async () => {
  assert.match((await create('')).name, /^[a-z]+_[a-z]+\d*$/);
});

test('of many who want a name at once one gets it', async () => {
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => create('web')));
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  const reasons = results.flatMap((r) => (r.status === 'rejected' ? [r.reason.reason] : []));
  assert.deepEqual([...new Set(reasons)], ['CONTAINER_NAME_IN_USE']);
  assert.equal((await folders()).length, 1);
});

test('what is refused leaves nothing', async () => {
  await assert.rejects(create('aa', { rootfs: { kind: 'image', reference: 'none' } }), {
    reason: 'IMAGE_NOT_FOUND',
  });
  await assert.rejects(create('a b'), { reason: 'CONTAINER_NAME_INVALID' });
  await assert.rejects(create('aa', { hostname: 'x'.repeat(65) }), { reason: 'CONFIG_INVALID' });
  const missing = { kind: 'directory', path: `${here.folder}/none` } as const;
  await assert.rejects(create('aa', { rootfs: missing, command: ['x'] }), {
    reason: 'ROOTFS_NOT_A_DIRECTORY',
  });
  assert.deepEqual(await folders(), []);
  assert.equal((await create('aa')).name, 'aa');
});

for (const point of ['create.begin', 'create.folder', 'create.config', 'create.put'] as const) {
  test(`a create that fails at ${point} leaves nothing and frees the name`, async () => {
    configureFailpoints(`${point}=1*error(no)`);
    await assert.rejects(create('web'), { reason: 'FAILPOINT' });
    assert.deepEqual(await folders(), []);
    await create('web');
  });
}

test('a rootfs directory is used in place, without layers', async () => {
  const path = `${here.folder}/rootfs`;
  mkdirSync(path);
  const record = await create('dir', { rootfs: { kind: 'directory', path }, command: ['true'] });
  assert.deepEqual(record.layers, []);
  assert.deepEqual(await folders(), [record.id]);
  assert.deepEqual(readdirSync(`${here.engine.paths.root}/containers/${record.id}`).sort(), [
    'config.json',
    'logs',
  ]);
  await removeContainer(here.engine, { container: 'dir', force: false });
  assert.ok(existsSync(path));
});

test('an image cannot be removed between the look at it and the record', async () => {
  configureFailpoints('create.put=delay(50)');
  const looked = new Promise<void>((resolve) => onFailpoint(() => resolve()));
  const creating = create('web');
  await looked;
  const removing = removeImage(here.engine, { image: 'box', force: false, expectedRev: 0n });
  await creating;
  await assert.rejects(removing, { reason: 'IMAGE_IN_USE' });
});

test('a list shows the newest first and what its conditions say', async () => {
  await create('one', { labels: { tier: 'a' } });
  const two = await create('two', { labels: { tier: 'b' }, network: 'host' });
  await create('three', { mounts: [{ source: '/srv', destination: '/data', readOnly: true }] });
  assert.deepEqual(names({}), ['three', 'two', 'one']);
  assert.deepEqual(names({ limit: 2 }), ['three', 'two']);
  assert.deepEqual(names({ names: ['wo', 'x'] }), ['two']);
  assert.deepEqual(names({ idPrefixes: [two.id.slice(0, 20)] }), ['two']);
  assert.deepEqual(names({ labels: [{ key: 'tier', absent: false }] }), ['two', 'one']);
  assert.deepEqual(names({ labels: [{ key: 'tier', value: 'a', absent: false }] }), ['one']);
  assert.deepEqual(names({ labels: [{ key: 'tier', value: 'a', absent: true }] }), ['three', 'two']);
  assert.deepEqual(names({ networks: ['host'] }), ['two']);
  assert.deepEqual(names({ volumes: ['/data'] }), ['three']);
  assert.deepEqual(names({ before: 'two' }), ['one']);
  assert.deepEqual(names({ since: 'one', names: ['t'] }), ['three', 'two']);
  assert.deepEqual(names({ images: ['docker.io/library/box'] }), ['three', 'two', 'one']);
  assert.deepEqual(names({ images: ['other'] }), []);
  assert.deepEqual(names({ statuses: ['created'], runningOnly: false }), ['three', 'two', 'one']);
  assert.deepEqual(names({ runningOnly: true }), []);
  assert.deepEqual(names({ exitStatuses: [0] }), []);
  assert.throws(() => names({ before: 'none' }), { reason: 'CONTAINER_NOT_FOUND' });
});

test('a renamed container keeps its id, and its file says the new name', async () => {
  const { id, rev } = await create('old');
  await create('other');
  await assert.rejects(renameContainer(here.engine, { container: 'old', newName: 'other' }), {
    reason: 'CONTAINER_NAME_IN_USE',
  });
  await assert.rejects(renameContainer(here.engine, { container: 'old', newName: 'old' }), {
    reason: 'NAME_IN_USE',
  });
  await assert.rejects(
    renameContainer(here.engine, { container: 'old', newName: 'new', expectedRev: rev + 1n }),
    {
      code: 'aborted',
      reason: 'REV_MISMATCH',
    },
  );
  const renamed = await renameContainer(here.engine, { container: 'old', newName: 'new', expectedRev: rev });
  assert.deepEqual([renamed.id, renamed.name, renamed.rev], [id, 'new', rev + 1n]);
  assert.equal(here.engine.store.containers.idByName('old'), undefined);
  const file = readFileSync(`${here.engine.paths.root}/containers/${id}/config.json`, 'utf8');
  assert.equal((decodeJson(file) as ContainerRecord).name, 'new');
  await create('old');
});

test('a removed container is gone with its folder and frees its name', async () => {
  const { id } = await create('web');
  await assert.rejects(removeContainer(here.engine, { container: 'web', force: false, expectedRev: 7n }), {
    reason: 'REV_MISMATCH',
  });
  assert.deepEqual(await removeContainer(here.engine, { container: 'web', force: false }), { id });
  assert.deepEqual(await folders(), []);
  assert.equal(here.launcher.requests.length, 0);
  await assert.rejects(removeContainer(here.engine, { container: 'web', force: true }), {
    reason: 'CONTAINER_NOT_FOUND',
  });
  const events = await Array.fromAsync(here.engine.store.events.since(0n, { follow: false }));
  assert.equal(events.at(-1)?.type, 'container.destroy');
  await create('web');
});

test('a container that wrote much is deleted by a worker', async () => {
  const { id } = await create('web');
  const upper = `${here.engine.paths.root}/containers/${id}/upper`;
  for (let i = 0; i < 100; i += 1) writeFileSync(`${upper}/${i}`, '');
  await removeContainer(here.engine, { container: 'web', force: false });
  assert.deepEqual(await folders(), []);
  assert.deepEqual(
    here.launcher.requests.map(({ name }) => name),
    ['remove-trees'],
  );
});

test('names that are no UTF-8 are deleted too', async () => {
  const { id } = await create('web');
  const upper = Buffer.from(`${here.engine.paths.root}/containers/${id}/upper/`);
  mkdirSync(Buffer.concat([upper, Buffer.from([0xff])]));
  writeFileSync(Buffer.concat([upper, Buffer.from([0xff, 0x2f, 0xfe])]), 'x');
  await removeContainer(here.engine, { container: 'web', force: false });
  assert.deepEqual(await folders(), []);
});

test('a running container is not removed without force', async () => {
  const record = await create('web');
  await here.engine.store.containers.put({ ...record, status: 'running' });
  await assert.rejects(removeContainer(here.engine, { container: 'web', force: false }), {
    code: 'failed-precondition',
    reason: 'CONTAINER_RUNNING',
    hint: /-f/,
  });
});

test('a removal that dies half way is ended by the next start', async () => {
  const { id } = await create('web');
  const kept = await create('kept');
  configureFailpoints('delete.put=1*error(no)');
  await assert.rejects(removeContainer(here.engine, { container: 'web', force: false }), {
    reason: 'FAILPOINT',
  });
  assert.deepEqual(await folders(), [id, kept.id].sort());
  mkdirSync(`${here.engine.paths.root}/containers/.rm-x/y`, { recursive: true });
  mkdirSync(`${here.engine.paths.root}/containers/.tmp-x`);
  mkdirSync(`${here.engine.paths.root}/containers/not-ours`);
  here = await here.reopen();
  const swept = await sweepContainers(here.engine);
  assert.deepEqual([...swept].sort(), ['.rm-x', '.tmp-x', id].sort());
  assert.deepEqual(await folders(), [kept.id, 'not-ours'].sort());
});

/** Volumes and whoever is about to use them: nothing that is wanted is removed, nothing that is said is lost. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { configureFailpoints } from '../../../server/failpoint.ts';
import { sweepVolumes } from '../../../server/ops/container-volumes.ts';
import { createContainer } from '../../../server/ops/create-container.ts';
import { discardsDone } from '../../../server/ops/discard-folder.ts';
import type { Engine } from '../../../server/ops/engine.ts';
import { pruneVolumes } from '../../../server/ops/prune-volumes.ts';
import { removeContainer } from '../../../server/ops/remove-container.ts';
import { volumeData, volumesFolder } from '../../../server/ops/volume-folders.ts';
import { createVolume, listVolumes, removeVolume } from '../../../server/ops/volumes.ts';
import { type EngineHere, engineHere } from './engine-here.ts';

let here: EngineHere;
beforeEach(async () => {
  here = await engineHere();
});
afterEach(async () => {
  configureFailpoints(undefined);
  await here[Symbol.asyncDispose]();
});

const make = (
  name: string,
  more: Partial<Parameters<typeof createVolume>[1]> = {},
): Promise<{ name: string }> =>
  createVolume(here.engine, { name, driver: '', options: {}, labels: {}, ...more });

/** A container with a volume; nothing of it would start. */
const withVolume = (volume: string, destination = '/v'): ReturnType<typeof createContainer> =>
  createContainer(here.engine, {
    name: '',
    options: {
      rootfs: { kind: 'directory', path: here.folder },
      command: ['true'],
      network: 'none',
      volumes: [{ name: volume, destination, readOnly: false, noCopy: false }],
    },
  });

/** As a start would have left it. */
function fill(name: string): string {
  const file = `${volumeData(here.engine.paths, name)}/file`;
  mkdirSync(volumeData(here.engine.paths, name), { recursive: true });
  writeFileSync(file, 'mine');
  return file;
}

const names = (engine: Engine = here.engine): string[] =>
  listVolumes(engine, { names: [], drivers: [], labels: [] }).map(({ name }) => name);

test('what a container that is being created names is not removed', async () => {
  await make('data');
  const file = fill('data');
  for (const point of ['create.folder', 'create.put', 'create.done']) {
    configureFailpoints(`${point}=delay(100)`);
    const before = readdirSync(`${here.engine.paths.root}/containers`).length;
    const created = withVolume('data');
    while (readdirSync(`${here.engine.paths.root}/containers`).length === before)
      await new Promise((resolve) => setImmediate(resolve));
    await assert.rejects(removeVolume(here.engine, 'data', false), { reason: 'VOLUME_IN_USE' });
    assert.deepEqual((await pruneVolumes(here.engine, { all: true, labels: [] })).removed, []);
    configureFailpoints(undefined);
    const { record } = await created;
    await removeContainer(here.engine, { container: record.id, force: false, volumes: true });
  }
  assert.ok(existsSync(file));
  await removeVolume(here.engine, 'data', false);
  assert.ok(!existsSync(file));
});

test('a create waits for a removal that has begun, and gets a new volume', async () => {
  await make('data');
  const file = fill('data');
  configureFailpoints('volume.removed=delay(100)');
  const removed = removeVolume(here.engine, 'data', false);
  const created = withVolume('data');
  await removed;
  assert.ok(!existsSync(file));
  await created;
  assert.deepEqual(names(), ['data']);
});

test('a failed create holds nothing', async () => {
  configureFailpoints('create.put=error(no)');
  await assert.rejects(withVolume('data'), { reason: 'FAILPOINT' });
  configureFailpoints(undefined);
  await make('data');
  await removeVolume(here.engine, 'data', false);
  assert.deepEqual([names(), here.engine.heldVolumes.count('data')], [[], 0]);
});

test('many at the same time get one volume', async () => {
  const made = await Promise.all([make('data'), make('data'), withVolume('data'), withVolume('data')]);
  assert.equal(made.length, 4);
  assert.deepEqual(names(), ['data']);
  await assert.rejects(make('data', { options: { type: 'tmpfs', device: 'x' } }), {
    reason: 'VOLUME_EXISTS',
  });
  await assert.rejects(removeVolume(here.engine, 'data', true), (error: Error) =>
    /^cannot remove volume data: container \w+ \(\w+\), \w+ \(\w+\) has it$/.test(error.message),
  );
});

test('volumes come back from their folders where metadata was lost, and stay', async () => {
  const options = { type: 'tmpfs', device: 'tmpfs', o: 'size=1m' };
  await make('memory', { options, labels: { a: 'b' } });
  await make('plain');
  fill('plain');
  fill('unknown');
  const { engine } = here;
  for (const name of ['memory', 'plain']) await engine.store.volumes.delete(name);
  const openReport = { ...engine.store.openReport, damaged: true };
  const lost = { ...engine, store: { ...engine.store, openReport } };
  await sweepVolumes(lost);
  assert.deepEqual(names(), ['memory', 'plain', 'unknown']);
  assert.deepEqual(engine.store.volumes.get('memory')?.options, options);
  assert.deepEqual(engine.store.volumes.get('memory')?.labels, { a: 'b' });
  // On any other day a folder that nothing names is half a removal.
  await engine.store.volumes.delete('unknown');
  await sweepVolumes(engine);
  await discardsDone();
  assert.deepEqual(readdirSync(volumesFolder(engine.paths)).sort(), ['memory', 'plain']);
});

/** What is collected, and what a lease keeps from it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { configureFailpoints } from '../../../server/failpoint.ts';
import type { Digest } from '../../../server/model/digest.ts';
import { createContainer } from '../../../server/ops/create-container.ts';
import { removeContainer } from '../../../server/ops/remove-container.ts';
import { removeImage } from '../../../server/ops/remove-image.ts';
import { addImage, type EngineHere, engineHere } from './engine-here.ts';

let here: EngineHere;
beforeEach(async () => {
  here = await engineHere();
});
afterEach(async () => {
  configureFailpoints(undefined);
  await here[Symbol.asyncDispose]();
});

const remove = (image: string, force = false): ReturnType<typeof removeImage> =>
  removeImage(here.engine, { image, force, expectedRev: 0n });

async function settled(): Promise<void> {
  await here.engine.garbage.idle();
  await here.engine.layers.idle();
}

/** A new image; whether its only layer has its record, and whether it has its folder. */
async function image(name: string): Promise<{ chainId: Digest; is: () => [boolean, boolean] }> {
  const { layers } = await addImage(here.engine, `docker.io/library/${name}:latest`);
  const [layer] = layers;
  assert.ok(layer !== undefined);
  const { chainId, serial } = layer;
  const { engine } = here;
  return {
    chainId,
    is: () => [engine.store.layers.get(chainId) !== undefined, existsSync(engine.layers.folder(serial))],
  };
}

test('a lease keeps a layer from the look at it on, and gives it away at its end', async () => {
  const { chainId, is } = await image('a');
  {
    using lease = here.engine.garbage.lease();
    using other = here.engine.garbage.lease();
    assert.equal((await lease.findLayer(chainId))?.chainId, chainId);
    lease.keep(chainId);
    other.keep(chainId);
    await remove('a');
    await settled();
    assert.deepEqual(is(), [true, true]);
    other[Symbol.dispose]();
    await settled();
    assert.deepEqual(is(), [true, true]);
  }
  await settled();
  assert.deepEqual(is(), [false, false]);
});

test('a layer that is about to go is not found', async () => {
  const { chainId, is } = await image('a');
  configureFailpoints('collect.put=delay(100)');
  await remove('a');
  using lease = here.engine.garbage.lease();
  assert.equal(await lease.findLayer(chainId), undefined);
  assert.deepEqual(is(), [false, false]);
});

test('a blob stays as long as an image or a lease needs it', async () => {
  const { engine } = here;
  const digest = await engine.blobs.write(Buffer.from('document'));
  const path = engine.blobs.path(digest);
  {
    using lease = engine.garbage.lease();
    lease.keep(digest);
    engine.garbage.collect([digest]);
    await settled();
    assert.ok(existsSync(path));
  }
  await settled();
  assert.ok(!existsSync(path));
});

test('layers of an image that was removed by force go with its last container', async () => {
  const { is } = await image('a');
  const options = { rootfs: { kind: 'image', reference: 'a' }, command: ['x'] } as never;
  const made = await createContainer(here.engine, { name: 'one', options });
  const more = await createContainer(here.engine, { name: 'two', options });
  await remove('a', true);
  await settled();
  assert.deepEqual(is(), [true, true]);
  await removeContainer(here.engine, { container: made.record.id, force: false });
  await settled();
  assert.deepEqual(is(), [true, true]);
  await removeContainer(here.engine, { container: more.record.id, force: false });
  await settled();
  assert.deepEqual(is(), [false, false]);
});

test('many removals are few collections, and one that fails is made up for', async () => {
  const all = await Promise.all(['a', 'b', 'c', 'd'].map((name) => image(name)));
  configureFailpoints('collect.put=1*error(no)');
  await remove('a');
  await settled();
  assert.deepEqual(all[0]?.is(), [false, true]);
  await Promise.all(['b', 'c', 'd'].map((name) => remove(name)));
  await settled();
  assert.deepEqual(
    all.map(({ is }) => is()),
    all.map(() => [false, false]),
  );
});

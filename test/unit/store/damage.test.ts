/**
 * Damaged files: whatever happens to LevelDB's files, the store opens with every container (from the
 * database or from its config.json) and says so, or refuses. It is never silently short of anything.
 */
import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, type TestContext, test } from 'node:test';
import { configureFailpoints } from '../../../server/failpoint.ts';
import type { ContainerRecord } from '../../../server/model/container.ts';
import { MydockerError } from '../../../server/model/error.ts';
import { shortId } from '../../../server/model/ids.ts';
import { decodeJson, encodeJson } from '../../../server/store/codec.ts';
import { openStore } from '../../../server/store/open.ts';
import type { Recoverable } from '../../../server/store/store.ts';
import { container, image, layer, open, tempRoot } from './records.ts';

afterEach(() => configureFailpoints(undefined));

interface Pristine {
  readonly root: string;
  readonly containers: readonly ContainerRecord[];
  readonly recoverable: () => Promise<Recoverable[]>;
}

/** A cleanly closed store of 150 containers, an image and a layer. */
async function pristine(t: TestContext): Promise<Pristine> {
  const root = tempRoot(t);
  const store = await open(t, root);
  const names = Array.from({ length: 150 }, (_, i) => `c${i}`);
  const containers = await Promise.all(
    names.map((name) =>
      store.containers.put(container(name), {
        event: { type: 'container.create', kind: 'container', id: name },
      }),
    ),
  );
  await store.images.put(image('app', ['docker.io/library/app:latest']));
  await store.layers.put(layer('base', await store.layers.allocateSerial()));
  await store.close();
  // Through the text, as a config.json would be read.
  const files = containers.map((c) => ({ id: c.id, text: encodeJson(c) }));
  return {
    root,
    containers,
    recoverable: () => Promise.resolve(files.map(({ id, text }) => ({ id, record: decodeJson(text) }))),
  };
}

/** Opens a damaged copy and checks the promise. @returns what happened, for the test's own claims. */
async function openDamaged(t: TestContext, from: Pristine, damage: (meta: string) => void): Promise<string> {
  const root = mkdtempSync(join(tempRoot(t), 'copy-'));
  cpSync(from.root, root, { recursive: true });
  damage(join(root, 'meta'));
  try {
    await using store = await openStore({ root, recoverable: from.recoverable });
    const whole = store.images.size === 1 && store.layers.size === 1;
    const { damaged, rebuilt, lost } = store.openReport;
    for (const { id, name, config } of from.containers) {
      const found = store.containers.get(id);
      assert.equal(found?.name, name);
      assert.deepEqual(found?.config, config);
      assert.equal(store.containers.idByName(name), id);
    }
    assert.equal(store.containers.size, 150);
    if (!whole) assert.ok(lost.length > 0, 'the loss of the image or the layer was not told');
    if (rebuilt.length > 0 || !whole) assert.ok(damaged);
    // Numbers must not be given out again, whatever was lost.
    assert.ok((await store.layers.allocateSerial()) > 1n);
    await store.containers.put(container('new'));
    await store.close();
    await using again = await openStore({ root, recoverable: from.recoverable });
    assert.deepEqual(again.openReport.reasons, [], 'the repair was not complete');
    assert.equal(again.containers.size, 151);
    return damaged ? 'rebuilt' : 'intact';
  } catch (error) {
    if (!(error instanceof MydockerError)) throw error;
    assert.equal(error.code, 'data-loss', error.message);
    return 'refused';
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const filesOf = (meta: string, pattern: RegExp): string[] =>
  readdirSync(meta)
    .filter((name) => pattern.test(name))
    .map((name) => join(meta, name));

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  writeFileSync(path, bytes);
}

test('one flipped byte anywhere in the log is noticed and healed', async (t) => {
  const from = await pristine(t);
  const [log = ''] = filesOf(join(from.root, 'meta'), /\.log$/);
  const size = statSync(log).size;
  assert.ok(size > 32_768, 'the log must have several blocks');
  for (let i = 0; i < 40; i += 1) {
    const at = Math.floor(((i + 0.5) / 40) * size);
    const outcome = await openDamaged(t, from, (meta) => {
      for (const path of filesOf(meta, /\.log$/)) flip(path, at);
    });
    assert.equal(outcome, 'rebuilt', `byte ${at}`);
  }
});

test('every file cut short at every 4 KiB, emptied or gone: rebuilt or refused, never silent', async (t) => {
  const from = await pristine(t);
  const names = readdirSync(join(from.root, 'meta')).filter((name) => !/^LO/.test(name));
  const outcomes: Record<string, string> = {};
  for (const name of names) {
    const size = statSync(join(from.root, 'meta', name)).size;
    for (let at = 0; at < size; at += 4_096) {
      outcomes[`${name}@${at}`] = await openDamaged(t, from, (meta) => truncateSync(join(meta, name), at));
    }
    outcomes[`${name} gone`] = await openDamaged(t, from, (meta) => rmSync(join(meta, name)));
  }
  for (const [what, outcome] of Object.entries(outcomes)) {
    if (!/^CURRENT|^MANIFEST/.test(what)) assert.equal(outcome, 'rebuilt', what);
  }
});

test('damage in a sorted table is noticed, and healed or refused', async (t) => {
  const from = await pristine(t);
  // Opening once moves the log of before into a table.
  await (await openStore({ root: from.root })).close();
  const [table = ''] = filesOf(join(from.root, 'meta'), /\.ldb$/);
  assert.notEqual(table, '');
  const size = statSync(table).size;
  const FLIPS = 80;
  for (let i = 0; i < FLIPS; i += 1) {
    const at = i === FLIPS - 1 ? size - 20 : Math.floor(((i + 0.5) / FLIPS) * (size - 48));
    const outcome = await openDamaged(t, from, (meta) => {
      for (const path of filesOf(meta, /\.ldb$/)) flip(path, at);
    });
    // The last one hits what fills the footer up, which says nothing.
    assert.equal(outcome, i === FLIPS - 1 ? 'intact' : 'rebuilt', `byte ${at} of ${size}`);
  }
  const cut = await openDamaged(t, from, (meta) => {
    for (const path of filesOf(meta, /\.ldb$/)) truncateSync(path, size >> 1);
  });
  assert.equal(cut, 'rebuilt');
});

test('a database folder that is gone altogether is missed, and its damaged copy is kept after a repair', async (t) => {
  const from = await pristine(t);
  const outcome = await openDamaged(t, from, (meta) => rmSync(meta, { recursive: true }));
  assert.equal(outcome, 'rebuilt');
  const root = from.root;
  truncateSync(filesOf(join(root, 'meta'), /^MANIFEST/)[0] ?? '', 10);
  const store = await open(t, root, { recoverable: from.recoverable });
  assert.ok(store.openReport.repairedFrom !== undefined && existsSync(store.openReport.repairedFrom));
  assert.equal(store.containers.size, 150);
});

test('what cannot be rebuilt is named', async (t) => {
  const from = await pristine(t);
  const { reopenLevel } = await import('../../../server/store/level.ts');
  const [first, second] = from.containers as [ContainerRecord, ContainerRecord];
  const db = await reopenLevel(join(from.root, 'meta'));
  const imageId = image('app').id;
  await db.batch([
    { type: 'put', key: `container!${first.id}`, value: 'xxxxxxxx{}' },
    { type: 'del', key: `container!${second.id}` },
    { type: 'del', key: `image!${imageId}` },
  ]);
  await db.close();
  const recoverable = (): Promise<Recoverable[]> =>
    Promise.resolve([{ id: first.id, record: { nonsense: true } }]);
  const store = await open(t, from.root, { recoverable });
  assert.ok(store.openReport.damaged);
  const told = store.openReport.lost.join('\n');
  assert.match(told, new RegExp(`container ${shortId(first.id)}: its config.json is damaged`));
  assert.match(told, new RegExp(`container ${second.name} \\(${shortId(second.id)}\\)`));
  assert.match(told, new RegExp(`image docker.io/library/app:latest \\(${shortId(imageId)}\\)`));
  assert.ok(!store.containers.isNameTaken(second.name));
  assert.equal(store.images.idByReference('docker.io/library/app:latest'), undefined);
});

test('a config.json without a record is an orphan as long as nothing was lost', async (t) => {
  const root = tempRoot(t);
  const store = await open(t, root);
  await store.containers.put(container('web'));
  await store.close();
  const half = container('half-made');
  const again = await open(t, root, { recoverable: () => Promise.resolve([{ id: half.id, record: half }]) });
  assert.deepEqual(again.openReport.orphans, [half.id]);
  assert.ok(!again.openReport.damaged);
  assert.equal(again.containers.size, 1);
});

test('a database older than its checkpoint is noticed', async (t) => {
  const root = tempRoot(t);
  const store = await open(t, root);
  await store.containers.put(container('web'));
  await store.close();
  const old = mkdtempSync(join(tempRoot(t), 'old-'));
  cpSync(join(root, 'meta'), old, { recursive: true });
  const next = await open(t, root);
  const late = await next.containers.put(container('late'));
  await next.close();
  rmSync(join(root, 'meta'), { recursive: true });
  cpSync(old, join(root, 'meta'), { recursive: true });
  const again = await open(t, root, { recoverable: () => Promise.resolve([{ id: late.id, record: late }]) });
  assert.deepEqual(again.openReport.reasons, ['the database is behind its checkpoint']);
  assert.deepEqual(again.openReport.rebuilt, [late.id]);
  assert.equal(again.containers.idByName('late'), late.id);
});

test('a damaged or missing checkpoint alone loses nothing', async (t) => {
  const from = await pristine(t);
  for (const text of ['', 'garbage', '00000000{"mutations":1}']) {
    writeFileSync(join(from.root, 'meta.checkpoint'), text);
    const store = await openStore({ root: from.root, recoverable: from.recoverable });
    assert.deepEqual([store.containers.size, store.openReport.damaged], [150, false]);
    await store.close();
  }
});

test('a checkpoint that cannot be written stops nothing', async (t) => {
  const root = tempRoot(t);
  configureFailpoints('store.checkpoint=error(no space)');
  const store = await open(t, root);
  await Promise.all(
    Array.from({ length: 600 }, (_, i) => store.containers.put(container(`c${i}`), { sync: false })),
  );
  await store.close();
  configureFailpoints(undefined);
  assert.equal((await open(t, root)).containers.size, 600);
});

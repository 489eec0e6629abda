/** The layer store on a real disk with real workers: layers from open files, layers on layers. */
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { filePosition } from '../../../server/image/file-position.ts';
import { createLayerStore, type LayerStore } from '../../../server/image/layer-store.ts';
import { SILENT } from '../../../server/model/logger.ts';
import { rawTar } from '../../fixtures/raw-tar.ts';
import { type SpawnLauncher, spawnLauncher } from '../../fixtures/spawn-worker.ts';

let root = '';
let launcher: SpawnLauncher;
let layers: LayerStore;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'mydocker-layers-'));
  launcher = spawnLauncher();
  layers = createLayerStore(root, launcher.launch, SILENT);
  await layers.prepare();
});
afterEach(async () => {
  await layers.idle();
  rmSync(root, { recursive: true });
});

/** Unpacks and publishes an archive that lies in a file. */
async function layer(serial: bigint, archive: Buffer, below: readonly bigint[]): Promise<string> {
  const path = join(root, `blob-${serial}`);
  writeFileSync(path, archive);
  const fd = openSync(path, 'r');
  try {
    await layers.unpack(serial, { fd }, { below });
    assert.equal(filePosition(fd), archive.length);
  } finally {
    closeSync(fd);
  }
  await layers.publish(serial);
  return layers.folder(serial);
}

test('a layer comes from an open file, whose position tells how far it is', async () => {
  for (const [serial, archive] of [
    [1n, rawTar([{ name: 'f', data: 'plain' }])],
    [2n, gzipSync(rawTar([{ name: 'f', data: 'gzip' }]))],
  ] as const) {
    const folder = await layer(serial, archive, []);
    assert.equal(readFileSync(join(folder, 'f'), 'utf8'), serial === 1n ? 'plain' : 'gzip');
  }
});

test('a worker sees the layers below read-only, and nobody else’s', async () => {
  await layer(1n, rawTar([{ name: 'f' }]), []);
  await layer(2n, rawTar([{ name: 'f' }]), []);
  await layer(3n, rawTar([{ name: 'g' }]), [1n]);
  const binds = launcher.requests.at(-1)?.readOnlyBinds ?? [];
  assert.deepEqual(
    binds.filter((path) => path.startsWith(root)),
    [layers.folder(1n)],
  );
});

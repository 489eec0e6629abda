/** Images from archive to removal, on a real store, a real disk and real workers. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { configureFailpoints } from '../../../server/failpoint.ts';
import { createBlobStore } from '../../../server/image/blob-store.ts';
import { createIngest } from '../../../server/image/ingest.ts';
import { createLayerStore } from '../../../server/image/layer-store.ts';
import type { ContainerConfig, ContainerRecord, TaskStatus } from '../../../server/model/container.ts';
import { EMPTY_IMAGE_CONFIG } from '../../../server/model/image.ts';
import { SILENT } from '../../../server/model/logger.ts';
import { REGISTRY_LIMITS } from '../../../server/model/registry.ts';
import { Garbage } from '../../../server/ops/garbage.ts';
import type { ImageEngine } from '../../../server/ops/image-engine.ts';
import { type ImportRequest, importImage } from '../../../server/ops/import-image.ts';
import { findImageView } from '../../../server/ops/inspect-image.ts';
import { listImages } from '../../../server/ops/list-images.ts';
import { ObjectQueues } from '../../../server/ops/object-queues.ts';
import { removeImage } from '../../../server/ops/remove-image.ts';
import { sweepImages } from '../../../server/ops/sweep-images.ts';
import { tagImage } from '../../../server/ops/tag-image.ts';
import { Downloads } from '../../../server/registry/downloads.ts';
import { createRegistryAccess } from '../../../server/registry/registries.ts';
import { openStore } from '../../../server/store/open.ts';
import { fixtureTar } from '../../fixtures/images.ts';
import { rawTar } from '../../fixtures/raw-tar.ts';
import { type SpawnLauncher, spawnLauncher } from '../../fixtures/spawn-worker.ts';

const ROOTFS = rawTar([{ name: './' }, { name: 'etc/motd', data: 'hello' }]);

async function* once(data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield data;
}

const request = (reference: string, more: Partial<ImportRequest> = {}): ImportRequest => ({
  reference,
  config: EMPTY_IMAGE_CONFIG,
  message: '',
  ...more,
});

let root = '';
let engine: ImageEngine;
let launcher: SpawnLauncher;

async function open(): Promise<void> {
  launcher = spawnLauncher();
  const store = await openStore({ root });
  const layers = createLayerStore(root, launcher.launch, SILENT);
  await layers.prepare();
  const parts = { store, layers, blobs: createBlobStore(root), queues: new ObjectQueues(), log: SILENT };
  const ingest = createIngest(root, launcher.launch, layers.removeFolder);
  const downloads = new Downloads(root, REGISTRY_LIMITS, SILENT);
  await downloads.prepare();
  const registries = createRegistryAccess({}, REGISTRY_LIMITS);
  const remote = { registries, registryLimits: REGISTRY_LIMITS, downloads };
  engine = { ...parts, ...remote, ingest, garbage: new Garbage(parts) };
}

/** Everything that goes behind the answers has gone. */
async function settled(): Promise<void> {
  await engine.garbage.idle();
  await engine.layers.idle();
}

const folders = (): string[] => readdirSync(join(root, 'layers')).sort();
const blobs = (): string[] => readdirSync(join(root, 'blobs/sha256')).sort();
const load = (reference: string, data: Buffer = ROOTFS): ReturnType<typeof importImage> =>
  importImage(engine, request(reference), once(data));
const remove = (image: string, force = false): ReturnType<typeof removeImage> =>
  removeImage(engine, { image, force, expectedRev: 0n });

/** A container's record as far as images care. */
async function container(
  name: string,
  imageId: string,
  layers: bigint[],
  status: TaskStatus = 'created',
): Promise<ContainerRecord> {
  const id = createHash('sha256').update(name).digest('hex');
  const config: ContainerConfig = {
    rootfs: { kind: 'image', imageId, reference: 'x' },
    ...{
      args: ['true'],
      env: [],
      workingDir: '/',
      user: '',
      hostname: 'h',
      terminal: false,
      openStdin: false,
    },
    ...{
      mounts: [],
      network: 'none',
      readOnlyRootfs: false,
      resources: {},
      stopSignal: 15,
      stopTimeoutMs: 1,
    },
    ...{ autoRemove: false, labels: {} },
  };
  return await engine.store.containers.put({
    v: 1,
    rev: 0n,
    createdAt: 0n,
    updatedAt: 0n,
    id,
    name,
    config,
    layers,
    status,
  });
}

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'mydocker-images-'));
  await open();
});
afterEach(async () => {
  configureFailpoints(undefined);
  await engine.layers.idle();
  await engine.store.close();
  rmSync(root, { recursive: true });
});

describe('import', () => {
  test('makes an image of one layer with a config', async () => {
    const config = {
      ...EMPTY_IMAGE_CONFIG,
      command: ['sh'],
      env: ['A=b'],
      exposedPorts: ['80/tcp'],
      volumes: ['/v'],
    };
    const { image, reference } = await importImage(
      engine,
      request('app:1', { config, message: 'made by hand' }),
      once(ROOTFS),
    );
    assert.equal(reference, 'docker.io/library/app:1');
    assert.deepEqual(image.references, [reference]);
    const diffId = `sha256:${createHash('sha256').update(ROOTFS).digest('hex')}`;
    assert.deepEqual(
      image.layers.map((layer) => [layer.diffId, layer.chainId]),
      [[diffId, diffId]],
    );
    const folder = engine.layers.folder(image.layers[0]?.serial ?? 0n);
    assert.equal(readFileSync(join(folder, 'etc/motd'), 'utf8'), 'hello');
    const json = JSON.parse((await engine.blobs.read(image.id)).toString());
    assert.deepEqual(json.config, {
      ExposedPorts: { '80/tcp': {} },
      Env: ['A=b'],
      Cmd: ['sh'],
      Volumes: { '/v': {} },
    });
    assert.deepEqual(json.rootfs, { type: 'layers', diff_ids: [diffId] });
    assert.equal(json.history[0].comment, 'made by hand');
    assert.equal(json.created, json.history[0].created);
    assert.deepEqual([image.sizeBytes, image.os], [5n, 'linux']);
  });

  test('keeps layers where only root may go', async () => {
    await load('a');
    for (const name of ['layers', 'blobs', 'blobs/sha256'])
      assert.equal(statSync(join(root, name)).mode & 0o777, 0o700);
  });

  test('takes gzip and zstd in one or many pieces, and shares the layer', async () => {
    const half = ROOTFS.length / 2;
    const parts = [ROOTFS.subarray(0, half), ROOTFS.subarray(half)];
    const skippable = Buffer.from('502a4d180400000061626364', 'hex');
    const archives: Buffer[] = [
      ROOTFS,
      gzipSync(ROOTFS),
      Buffer.concat(parts.map((part) => gzipSync(part))),
      zstdCompressSync(ROOTFS),
      Buffer.concat([skippable, ...parts.map((part) => zstdCompressSync(part)), skippable]),
    ];
    const serials = new Set<bigint | undefined>();
    for (const [i, archive] of archives.entries())
      serials.add((await load(`a${i}`, archive)).image.layers[0]?.serial);
    assert.equal(serials.size, 1);
    await engine.layers.idle();
    assert.deepEqual(folders(), [String([...serials][0])]);
    assert.equal(engine.store.images.size, archives.length);
  });

  test('unpacks a real root filesystem', async () => {
    const tar = readFileSync(await fixtureTar('busybox'));
    const { image } = await load('busybox', zstdCompressSync(tar));
    assert.ok(
      statSync(join(engine.layers.folder(image.layers[0]?.serial ?? 0n), 'bin/busybox')).size > 500_000,
    );
  });

  test('moves the reference; the image that had it stays without a name', async () => {
    const first = await load('a');
    const second = await load('a', rawTar([{ name: 'other' }]));
    assert.deepEqual(engine.store.images.get(first.image.id)?.references, []);
    assert.deepEqual(findImageView(engine, 'a').record.id, second.image.id);
    assert.equal(engine.store.images.size, 2);
  });

  test('makes an image without a name', async () => {
    const { image, reference } = await load('');
    assert.deepEqual([reference, image.references], ['', []]);
  });

  const refused: [name: string, archive: Buffer, says: RegExp][] = [
    [
      'an entry that leads out',
      rawTar([{ name: '../x' }]),
      /^cannot import image a: entry \.\.\/x: its name leads out of the root$/,
    ],
    ['nothing', Buffer.alloc(0), /^cannot import image a: it is empty$/],
    ['text', Buffer.from('x'.repeat(1000)), /: it is not a tar archive$/],
    ['xz', Buffer.from('fd377a585a0000', 'hex'), /compressed with xz, which is not supported/],
    ['gzip that is cut off', gzipSync(ROOTFS).subarray(0, -9), /compressed data ends too early/],
    [
      'gzip with a wrong checksum',
      flip(gzipSync(ROOTFS), -6),
      /compressed data is damaged: incorrect data check/,
    ],
    ['zstd that is cut off', zstdCompressSync(ROOTFS).subarray(0, -1), /in the middle|too early/],
    [
      'zstd followed by garbage',
      Buffer.concat([zstdCompressSync(ROOTFS), Buffer.from('garbage!')]),
      /what follows a zstd frame is none/,
    ],
    ['an archive without an end', ROOTFS.subarray(0, -1024), /entry etc\/motd: the archive ends here/],
  ];
  for (const [name, archive, says] of refused) {
    test(`refuses ${name} and leaves nothing`, async () => {
      await assert.rejects(load('a', archive), (error: Error) => {
        assert.match(error.message, says);
        return true;
      });
      await engine.layers.idle();
      assert.deepEqual(
        [folders(), blobs(), engine.store.images.size, engine.store.layers.size],
        [[], [], 0, 0],
      );
    });
  }

  test('refuses a reference with a digest or in capitals before it reads anything', async () => {
    for (const reference of [`a@sha256:${'0'.repeat(64)}`, 'App']) {
      await assert.rejects(load(reference), { code: 'invalid-argument' });
    }
    assert.equal(launcher.children.length, 0);
  });

  test('a gigabyte of zeros in a megabyte is no danger to memory', async () => {
    const zeros = Buffer.alloc(1 << 20);
    const size = 64;
    const parts = [
      rawTar([{ name: 'z', size: size << 20 }], Buffer.alloc(0)),
      ...Array.from({ length: size }, () => zeros),
      Buffer.alloc(1024),
    ];
    const { image } = await load('a', gzipSync(Buffer.concat(parts)));
    assert.equal(image.sizeBytes, BigInt(size << 20));
  });

  test('ends with its client, and leaves nothing', async () => {
    const abort = new AbortController();
    async function* stalled(): AsyncGenerator<Uint8Array> {
      yield ROOTFS.subarray(0, 1000);
      abort.abort();
      yield ROOTFS.subarray(1000);
    }
    await assert.rejects(importImage(engine, request('a'), stalled(), abort.signal), { name: 'AbortError' });
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield ROOTFS.subarray(0, 1000);
      throw new Error('the client is gone');
    }
    await assert.rejects(importImage(engine, request('a'), broken()), /the client is gone/);
    await engine.layers.idle();
    assert.deepEqual([folders(), engine.store.images.size], [[], 0]);
  });

  test('says when the worker dies', async () => {
    async function* killing(): AsyncGenerator<Uint8Array> {
      yield ROOTFS.subarray(0, 1000);
      launcher.children[0]?.kill('SIGKILL');
      yield Buffer.alloc(1 << 22);
    }
    await assert.rejects(importImage(engine, request('a'), killing()), /the unpacker was ended by signal 9/);
  });

  for (const point of ['import.synced', 'import.renamed', 'import.put-layer', 'import.put-image'] as const) {
    test(`a failure at ${point} leaves nothing`, async () => {
      configureFailpoints(`${point}=error(planted)`);
      await assert.rejects(load('a'), /planted/);
      await engine.layers.idle();
      assert.deepEqual(
        [folders(), blobs(), engine.store.images.size, engine.store.layers.size],
        [[], [], 0, 0],
      );
    });
  }
});

function flip(data: Buffer, at: number): Buffer {
  const copy = Buffer.from(data);
  const index = at < 0 ? copy.length + at : at;
  copy[index] = (copy[index] ?? 0) ^ 1;
  return copy;
}

describe('a reference', () => {
  test('is given and moved by tag', async () => {
    const a = await load('a');
    const b = await load('b', rawTar([{ name: 'b' }]));
    assert.deepEqual(await tagImage(engine, a.image.id.slice(7, 20), 'reg.example:5000/x/c:2'), {
      imageId: a.image.id,
      reference: 'reg.example:5000/x/c:2',
      previousImageId: '',
    });
    assert.equal((await tagImage(engine, 'b', 'a')).previousImageId, a.image.id);
    assert.equal(findImageView(engine, 'a').record.id, b.image.id);
    await assert.rejects(tagImage(engine, 'a', `x@sha256:${'0'.repeat(64)}`), { code: 'invalid-argument' });
    await assert.rejects(tagImage(engine, 'nothing', 'x'), { code: 'not-found', reason: 'IMAGE_NOT_FOUND' });
  });
});

describe('rmi', () => {
  test('takes one reference, then the image, its layer and its config', async () => {
    const { image } = await load('a');
    await tagImage(engine, 'a', 'b');
    assert.deepEqual(await remove('a'), { untagged: ['docker.io/library/a:latest'], deleted: [] });
    assert.deepEqual(await remove('b'), { untagged: ['docker.io/library/b:latest'], deleted: [image.id] });
    await settled();
    assert.deepEqual([folders(), blobs(), engine.store.layers.size], [[], [], 0]);
  });

  test('keeps a layer that another image has', async () => {
    const a = await load('a');
    await load('b');
    await remove('a');
    await settled();
    assert.deepEqual(
      [folders().length, blobs().length, findImageView(engine, 'b').uniqueSizeBytes],
      [1, 2, 5n],
    );
    await assert.rejects(async () => findImageView(engine, a.image.id), { code: 'not-found' });
  });

  test('by id takes all references only when forced', async () => {
    const { image } = await load('a');
    await tagImage(engine, 'a', 'b');
    await assert.rejects(remove(image.id), {
      reason: 'IMAGE_HAS_REFERENCES',
      message: /2 references point at it/,
    });
    assert.equal((await remove(image.id.slice(7, 15), true)).untagged.length, 2);
  });

  test('is refused while containers use it, forced only while one runs', async () => {
    const { image } = await load('a');
    const serials = image.layers.map((layer) => layer.serial);
    const one = await container('one', image.id, serials);
    await assert.rejects(remove('a'), {
      reason: 'IMAGE_IN_USE',
      message: 'cannot remove image a: 1 container uses it',
      metadata: { image: 'a', container_count: '1', containers: one.id },
    });
    const two = await container('two', image.id, serials, 'running');
    await assert.rejects(remove('a'), { message: 'cannot remove image a: 2 containers use it' });
    await assert.rejects(remove(image.id, true), {
      message: /^cannot remove image \S+: 1 running container uses it$/,
    });
    await engine.store.containers.delete(two.id);
    await remove('a', true);
    await settled();
    assert.deepEqual(folders(), serials.map(String));
    await engine.store.containers.delete(one.id);
    await sweepImages(engine);
    await settled();
    assert.deepEqual(folders(), []);
  });

  test('of an image that was changed meanwhile is refused', async () => {
    const { image } = await load('a');
    await assert.rejects(removeImage(engine, { image: 'a', force: false, expectedRev: image.rev + 1n }), {
      code: 'aborted',
    });
  });
});

describe('a list', () => {
  test('has the newest first, with sizes, users and filters', async () => {
    const a = await load('a:1');
    const b = await load('reg.example/b/c:2');
    await container('one', a.image.id, []);
    await load('');
    assert.deepEqual(
      listImages(engine).map((view) => [
        view.record.references,
        view.uniqueSizeBytes,
        view.layerSizes,
        view.containerCount,
      ]),
      [
        [[], 0n, [5n], 0],
        [['reg.example/b/c:2'], 0n, [5n], 0],
        [['docker.io/library/a:1'], 0n, [5n], 1],
      ],
    );
    const ids = (filter: Parameters<typeof listImages>[1]): string[] =>
      listImages(engine, filter).map((view) => view.record.id);
    assert.deepEqual(ids({ references: ['a'] }), [a.image.id]);
    assert.deepEqual(ids({ references: ['reg.example/*/c:*'] }), [b.image.id]);
    assert.deepEqual(ids({ references: ['*'] }), [a.image.id]);
    assert.equal(ids({ danglingOnly: true }).length, 1);
    assert.deepEqual(ids({ since: 'a:1', before: b.image.id }), []);
    assert.deepEqual(ids({ before: b.image.id }), [a.image.id]);
  });
});

describe('a sweep', () => {
  test('removes what a killed server left, keeps what is named, tells what is missing', async () => {
    const { image } = await load('a');
    const [layer] = image.layers;
    const gone = await load('b', rawTar([{ name: 'gone' }]));
    for (const name of ['.tmp-77/half/f', '.rm-78/x', '79/never/recorded', 'init-1/etc']) {
      mkdirSync(join(root, 'layers', name), { recursive: true });
    }
    mkdirSync(join(root, 'blobs/sha256'), { recursive: true });
    rmSync(engine.layers.folder(gone.image.layers[0]?.serial ?? 0n), { recursive: true });
    const found = await sweepImages(engine);
    await settled();
    assert.deepEqual([...found.removed].sort(), ['.rm-78', '.tmp-77', '79']);
    assert.deepEqual(found.missing, [gone.image.layers[0]?.serial]);
    assert.deepEqual(folders(), [String(layer?.serial), 'init-1']);
    assert.equal(existsSync(engine.blobs.path(image.id)), true);
  });

  test('removes a layer that was recorded when its import died', async () => {
    const before = await load('a');
    await engine.store.images.delete(before.image.id);
    const found = await sweepImages(engine);
    await settled();
    assert.deepEqual([found.unusedBytes, folders(), blobs(), engine.store.layers.size], [5n, [], [], 0]);
  });
});

/**
 * A whole engine in a folder of its own: real store, real disk, real workers (unconfined), and nothing that
 * would start a container.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCgroupLayout } from '../../../server/cgroup/layout.ts';
import { createBlobStore } from '../../../server/image/blob-store.ts';
import { createIngest } from '../../../server/image/ingest.ts';
import { createLayerStore } from '../../../server/image/layer-store.ts';
import { createTreeCopier } from '../../../server/image/tree-copier.ts';
import { digestOf } from '../../../server/model/digest.ts';
import { EMPTY_IMAGE_CONFIG, type ImageConfig, type ImageRecord } from '../../../server/model/image.ts';
import { type Logger, SILENT } from '../../../server/model/logger.ts';
import { REGISTRY_LIMITS } from '../../../server/model/registry.ts';
import { HostRules } from '../../../server/network/host-state.ts';
import { Resolver } from '../../../server/network/resolver.ts';
import { DEFAULT_POOLS } from '../../../server/network/subnets.ts';
import { HeldAddresses } from '../../../server/ops/container-places.ts';
import { discardsDone } from '../../../server/ops/discard-folder.ts';
import type { Engine } from '../../../server/ops/engine.ts';
import { FirstCopies } from '../../../server/ops/first-copies.ts';
import { Garbage } from '../../../server/ops/garbage.ts';
import { HeldVolumes } from '../../../server/ops/held-volumes.ts';
import { MemoryVolumes } from '../../../server/ops/memory-volumes.ts';
import { ObjectQueues } from '../../../server/ops/object-queues.ts';
import { PortRegistry } from '../../../server/ops/port-registry.ts';
import { prepareFolders, readRecoverable } from '../../../server/ops/prepare-folders.ts';
import { probeStorage } from '../../../server/ops/probe-storage.ts';
import { Downloads } from '../../../server/registry/downloads.ts';
import { createRegistryAccess } from '../../../server/registry/registries.ts';
import { ensureInitLayer } from '../../../server/snapshot/init-layer.ts';
import { overlaySnapshotter } from '../../../server/snapshot/overlay.ts';
import { vfsSnapshotter } from '../../../server/snapshot/vfs.ts';
import { readHostFacts } from '../../../server/spec/defaults.ts';
import { openStore } from '../../../server/store/open.ts';
import { Launchers } from '../../../server/task/launchers.ts';
import { Runs } from '../../../server/task/runs.ts';
import { Zygote } from '../../../server/task/zygote.ts';
import { type SpawnLauncher, spawnLauncher } from '../../fixtures/spawn-worker.ts';

/** An engine, and what belongs to it alone. */
export interface EngineHere extends AsyncDisposable {
  readonly engine: Engine;
  readonly folder: string;
  readonly launcher: SpawnLauncher;
  /** Closes the store and opens all anew on the same folders. */
  reopen(): Promise<EngineHere>;
}

/** @param folder - of an earlier engine; absent: a new one, removed when disposed of. */
export async function engineHere(
  folder: string = mkdtempSync(join(tmpdir(), 'mydocker-ops-')),
  log: Logger = SILENT,
): Promise<EngineHere> {
  const { paths, instance } = prepareFolders({ root: join(folder, 'root'), state: join(folder, 'state') });
  const store = await openStore({ root: paths.root, recoverable: () => readRecoverable(paths.root) });
  const launcher = spawnLauncher();
  ensureInitLayer(paths.root);
  const layers = createLayerStore(paths.root, launcher.launch, log);
  await layers.prepare();
  const ingest = createIngest(paths.root, launcher.launch, layers.removeFolder);
  await ingest.prepare();
  const downloads = new Downloads(paths.root, REGISTRY_LIMITS, log);
  await downloads.prepare();
  const blobs = createBlobStore(paths.root);
  const queues = new ObjectQueues();
  const { copyTree, fillTree } = createTreeCopier(launcher.launch);
  const engine: Engine = {
    config: { version: '0.0.0-test', logMaxFiles: 1, logMaxBytes: 1n << 20n },
    ...{ paths, instance, log, store, layers, blobs, queues, ingest, downloads },
    registries: createRegistryAccess({}, REGISTRY_LIMITS),
    registryLimits: REGISTRY_LIMITS,
    garbage: new Garbage({ store, queues, layers, blobs, log }),
    heldVolumes: new HeldVolumes(queues),
    memory: new MemoryVolumes(),
    ...{ copyTree, fillTree },
    storage: probeStorage(paths.root, undefined),
    snapshotters: { overlay: overlaySnapshotter(paths.root), vfs: vfsSnapshotter(paths.root, copyTree) },
    networks: {
      isDefaultRoot: false,
      defaultBridge: `mydocker-${instance.slice(0, 6)}`,
      pools: DEFAULT_POOLS,
      held: new HeldAddresses(),
      ports: new PortRegistry(),
      rules: new HostRules(instance, () => undefined),
      resolver: new Resolver(() => undefined, log),
      prepare: () => undefined,
      forget: () => Promise.resolve(),
    },
    zygote: new Zygote({ program: '/nonexistent', title: 'none', titleLength: 4 }),
    launchers: new Launchers({
      size: 0,
      park: () => {
        throw new Error('nothing is started here');
      },
      log,
    }),
    runs: new Runs(),
    firstCopies: new FirstCopies(),
    cgroups: {
      layout: readCgroupLayout(),
      parent: `/mydocker-${instance}`,
      helpers: `/mydocker-${instance}`,
      prepare: () => undefined,
      reserve: () => undefined,
      release: () => undefined,
      hold: () => ({ [Symbol.dispose]: () => undefined }),
      warmJoins: () => undefined,
    },
    host: readHostFacts(),
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
  };
  const close = async (): Promise<void> => {
    await discardsDone();
    await engine.garbage.idle();
    await layers.idle();
    await store.close();
  };
  return {
    ...{ engine, folder, launcher },
    reopen: async () => {
      await close();
      return await engineHere(folder, log);
    },
    [Symbol.asyncDispose]: async () => {
      await close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

let serials = 0n;

/** Records an image of one empty layer, as an import would. */
export async function addImage(
  engine: Engine,
  reference: string,
  config: Partial<ImageConfig> = {},
): Promise<ImageRecord> {
  serials += 1n;
  const serial = serials;
  const id = digestOf(`${reference} ${serial}`);
  mkdirSync(`${engine.paths.root}/layers/${serial}`, { mode: 0o755 });
  const stored = { v: 1, rev: 0n, createdAt: 0n, updatedAt: 0n } as const;
  await engine.store.layers.put({ ...stored, chainId: id, diffId: id, serial, sizeBytes: 1n });
  return await engine.store.images.put({
    ...stored,
    id,
    references: [reference],
    layers: [{ diffId: id, chainId: id, serial }],
    config: { ...EMPTY_IMAGE_CONFIG, ...config },
    history: [],
    builtAt: 0n,
    author: '',
    architecture: 'amd64',
    variant: '',
    os: 'linux',
    sizeBytes: 1n,
  });
}

/** Records and roots for the store's tests. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ContainerRecord } from '../../../server/model/container.ts';
import { digestOf } from '../../../server/model/digest.ts';
import { newId } from '../../../server/model/ids.ts';
import { EMPTY_IMAGE_CONFIG, type ImageRecord, type LayerRecord } from '../../../server/model/image.ts';
import { openStore } from '../../../server/store/open.ts';
import type { OpenOptions, Store } from '../../../server/store/store.ts';

/** A folder of its own for one test, removed after it. */
export function tempRoot(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'mydocker-store-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

/** An open store that is closed after the test. */
export async function open(t: TestContext, root: string, options: Partial<OpenOptions> = {}): Promise<Store> {
  const store = await openStore({ root, ...options });
  t.after(() => store.close());
  return store;
}

/** A container that was never put. */
export function container(name: string, id: string = newId()): ContainerRecord {
  return {
    v: 1,
    rev: 0n,
    createdAt: 0n,
    updatedAt: 0n,
    id,
    name,
    config: {
      rootfs: { kind: 'directory', path: '/srv/rootfs' },
      args: ['sh', '-c', 'true'],
      env: ['PATH=/bin'],
      workingDir: '/',
      user: '',
      hostname: id.slice(0, 12),
      terminal: false,
      openStdin: false,
      mounts: [],
      network: 'none',
      readOnlyRootfs: false,
      resources: { memoryLimitBytes: 64n << 20n },
      stopSignal: 15,
      stopTimeoutMs: 10_000,
      autoRemove: false,
      labels: { $n: '5' },
    },
    layers: [],
    status: 'created',
  };
}

/** An image that was never put; its id comes from the seed. */
export function image(seed: string, references: readonly string[] = []): ImageRecord {
  return {
    v: 1,
    rev: 0n,
    createdAt: 0n,
    updatedAt: 0n,
    id: digestOf(seed),
    references,
    layers: [],
    config: EMPTY_IMAGE_CONFIG,
    history: [],
    builtAt: 0n,
    author: '',
    architecture: 'amd64',
    variant: '',
    os: 'linux',
    sizeBytes: 1n,
  };
}

/** A layer that was never put. */
export function layer(seed: string, serial: bigint): LayerRecord {
  const diffId = digestOf(seed);
  return { v: 1, rev: 0n, createdAt: 0n, updatedAt: 0n, chainId: diffId, diffId, serial, sizeBytes: 1n };
}

/** An image of as many layers as Docker allows, run as any other. The layers are made by hand, one file each. @vm */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { chainIdOn, type Digest } from '../../server/model/digest.ts';
import type { ImageLayer } from '../../server/model/image.ts';
import { openStore } from '../../server/store/open.ts';
import { type Host, startHost } from '../harness/host.ts';

const LAYERS = 127;

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
after(() => host.dispose());

/** While no server runs: the image of busybox, and on it one layer after the other with a file of its own. */
async function deepenImage(reference: string): Promise<void> {
  await using store = await openStore({ root: host.root });
  const base = store.images.list()[0];
  assert.ok(base);
  const stored = { v: 1, rev: 0n, createdAt: 0n, updatedAt: 0n } as const;
  const layers: ImageLayer[] = [...base.layers];
  for (let depth = layers.length; depth < LAYERS; depth += 1) {
    const serial = await store.layers.allocateSerial();
    const folder = `${host.root}/layers/${serial}`;
    mkdirSync(`${folder}/depth`, { recursive: true, mode: 0o755 });
    writeFileSync(`${folder}/depth/${depth}`, '');
    const diffId = `sha256:${createHash('sha256').update(`layer ${depth}`).digest('hex')}` as Digest;
    const parent = layers.at(-1)?.chainId;
    const chainId = chainIdOn(parent, diffId);
    await store.layers.put({
      ...{ ...stored, chainId, diffId, serial, sizeBytes: 0n },
      ...(parent === undefined ? {} : { parent }),
    });
    layers.push({ diffId, chainId, serial });
  }
  const id = `sha256:${createHash('sha256').update(reference).digest('hex')}` as Digest;
  const record = { ...base, ...stored, id, layers, references: [] };
  await store.images.put(record);
  await store.images.setReference(`docker.io/library/${reference}:latest`, id);
}

test(`a container on ${LAYERS} layers sees the files of all of them, and writes on top`, async () => {
  await host.stop();
  await deepenImage('deep');
  await host.start();
  const script = 'ls /depth | wc -l; echo mine >/depth/126; cat /depth/126; rm /depth/1; ls /depth | wc -l';
  const run = ['run', '--name', 'deep', 'deep', 'sh', '-c', script];
  assert.deepEqual((await host.ok(run)).split('\n'), ['126', 'mine', '125']);
  assert.equal(await host.ok(['run', '--rm', 'deep', 'sh', '-c', 'ls /depth | wc -l']), '126');
  await host.ok(['rm', 'deep']);
  await host.ok(['rmi', 'deep']);
  assert.equal(await host.ok(['run', '--rm', 'busybox', 'echo', 'still there']), 'still there');
});

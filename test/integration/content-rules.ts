/**
 * The rule about content: what lies on the disk is what the records name, exactly. Read from the store itself,
 * while no server has it.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { digestHex } from '../../server/model/digest.ts';
import { blobsOf, usedSerials } from '../../server/ops/garbage.ts';
import { openStore } from '../../server/store/open.ts';
import type { Host } from '../harness/host.ts';

/** Differences between records and files; none is right. */
export async function contentBreaches(root: string): Promise<string[]> {
  const found: string[] = [];
  const same = (what: string, is: Iterable<unknown>, shouldBe: Iterable<unknown>): void => {
    const [a, b] = [is, shouldBe].map((all) => [...new Set([...all].map(String))].sort().join(' '));
    if (a !== b) found.push(`${what}: ${a || 'none'}; by right: ${b || 'none'}`);
  };
  const names = (folder: string): string[] =>
    // What is on its way out when a server stops goes with the next one.
    existsSync(join(root, folder))
      ? readdirSync(join(root, folder)).filter((name) => !name.startsWith('.rm-'))
      : [];
  await using store = await openStore({ root });
  const images = store.images.list();
  const layers = store.layers.list();
  same(
    'folders of layers',
    names('layers').filter((name) => !name.startsWith('init-')),
    layers.map(({ serial }) => serial),
  );
  same(
    'recorded layers',
    layers.map(({ serial }) => serial),
    usedSerials(store),
  );
  same('files of blobs', names('blobs/sha256'), images.flatMap(blobsOf).map(digestHex));
  const needed = new Set<string>(images.flatMap(blobsOf));
  for (const { digest } of store.blobs.list())
    if (!needed.has(digest)) found.push(`blob ${digest} is recorded and unneeded`);
  same(
    'folders of containers',
    names('containers'),
    store.containers.list().map(({ id }) => id),
  );
  same(
    'folders of volumes',
    names('volumes'),
    names('volumes').filter((name) => store.volumes.get(name) !== undefined),
  );
  same('archives', names('ingest'), []);
  for (const { serial } of layers)
    if (names(`layers/${serial}`).length === 0) found.push(`layer ${serial} is empty`);
  return found;
}

/** Stops the server, which waits for what goes behind its answers, looks, and starts it again. */
export async function checkContent(host: Host): Promise<void> {
  assert.equal(await host.stop(), 0);
  const found = await contentBreaches(host.root);
  assert.deepEqual(found, [], `${found.join('\n')}\n${host.log.slice(-3000)}`);
  await host.start();
}

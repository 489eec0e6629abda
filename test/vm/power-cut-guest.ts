/**
 * What runs in the virtual machine of power-cut.test.ts, once for each time that it is switched on: a server on the
 * root that the last time left, a look at everything in it, a load that was cut off tried again, and another
 * load during which the power goes. Tells what happens as lines of JSON.
 *
 *   power-cut-guest.ts reference FOLDER NAME...    loads each and keeps the last; the power stays
 *   power-cut-guest.ts round FOLDER RETRY NEXT     `FOLDER/RETRY.tar` if it is not there, then NEXT; `-`: none
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '../../server/store/open.ts';
import { scanTree } from '../fixtures/scan-tree.ts';
import { Host } from '../harness/host.ts';
import { contentBreaches } from '../integration/content-rules.ts';

/** On the disk; what is below /run is gone with the power. */
const ROOT = '/var/lib/mydocker-power-cut';

const host = new Host({ root: ROOT });

function tell(event: string, more: object = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
}

/** Looks at records and files while no server has them. */
async function look(): Promise<void> {
  await host.stop();
  for (const what of await contentBreaches(ROOT)) tell('breach', { what });
  const store = await openStore({ root: ROOT });
  for (const { references } of store.images.list()) tell('image', { names: references });
  for (const { diffId, serial } of store.layers.list()) {
    const names = scanTree(join(ROOT, 'layers', String(serial)));
    const hash = createHash('sha256').update(JSON.stringify(names)).digest('hex');
    tell('layer', { diffId, hash });
  }
  await store.close();
  tell('looked');
  await host.start();
}

const imageNames = async (): Promise<string[]> =>
  (await host.ok(['images', '--format', '{{.Repository}}'])).split('\n').filter((name) => name !== '');

async function load(folder: string, name: string): Promise<void> {
  tell('loading', { name });
  const began = Date.now();
  await host.ok(['load', '-i', join(folder, `${name}.tar`)]);
  tell('loaded', { name, ms: Date.now() - began });
}

async function remove(names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await host.ok(['rmi', ...names.map((name) => `${name}:1`)]);
  for (const name of names) tell('removed', { name });
}

async function reference(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) await load(folder, name);
  await look();
  await remove(names.slice(0, -1));
}

async function round(folder: string, retry: string, next: string): Promise<void> {
  const there = await imageNames();
  tell('there', { names: there });
  if (!there.includes(retry)) await load(folder, retry);
  await look();
  // The one that was tried again stays over the next cut, and shares a layer with what is loaded then.
  await remove(next === '-' ? await imageNames() : there.filter((name) => name !== retry));
  if (next === '-') return await look();
  await load(folder, next);
  // Until it is dark.
  await sleep(600_000);
}

const [what, folder = '', ...names] = process.argv.slice(2);
await host.start();
tell('started');
if (what === 'reference') await reference(folder, names);
else await round(folder, names[0] ?? '', names[1] ?? '-');
await host.stop();
await host.dispose();
tell('end');

/** Removals answer at once, whatever their size; files go behind, also behind the death of the server. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ImportHeader } from '../../proto/gen/mydocker/v1/images.ts';
import { rawTar } from '../fixtures/raw-tar.ts';
import { SLOWNESS } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { checkContent } from './content-rules.ts';
import { api, dispose } from './deaths-ground.ts';
import { until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'], armable: true });
});
after(() => dispose(host));

/** Deleting so many takes some thirty milliseconds. */
const FILES = 1500;
const TIMES = 6;
/** What the answer may take at the median: so many times what one with nothing to delete takes, and so many ms. */
const [MEDIAN_TIMES, MEDIAN_MS] = [3, 10 * SLOWNESS];

/** A tar of many files, of which each is another one. */
function many(files: number, mark: string): Buffer {
  const names = Array.from({ length: files }, (_, index) => `d${index % 100}/f${index}`);
  const folders = Array.from({ length: 100 }, (_, index) => ({ name: `d${index}/`, type: '5' }));
  return rawTar([...folders, ...names.map((name) => ({ name, data: mark }))]);
}

async function importTar(reference: string, tar: Buffer): Promise<void> {
  const { call, response } = api(host).images.importImage();
  call.write({ frame: { $case: 'header', value: ImportHeader.fromPartial({ reference }) } });
  for (let at = 0; at < tar.length; at += 1 << 20)
    call.write({ frame: { $case: 'chunk', value: tar.subarray(at, at + (1 << 20)) } });
  call.end();
  await response;
}

/** Times in ms, sorted. */
async function timed(names: readonly string[], ask: (name: string) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (const name of names) {
    const began = performance.now();
    await ask(name);
    times.push(performance.now() - began);
  }
  return times.sort((a, b) => a - b);
}

const at = (times: readonly number[], part: number): number => times[Math.floor(times.length * part)] ?? 0;
const show = (times: readonly number[]): string =>
  [0.5, 0.95].map((part) => `p${part * 100} ${at(times, part).toFixed(1)} ms`).join(', ');

/** What is in a folder, or is on its way out of it. */
const left = (folder: string): string[] =>
  [folder, 'removing'].flatMap((path) => readdirSync(join(host.root, path)).map((name) => `${path}/${name}`));

/** The layers once nothing goes any more. */
const settled = (): Promise<string> =>
  until(
    () => left('layers').join(),
    (now) => !now.includes('removing/'),
  );

/** Large ones and empty ones in turns, so that both meet the same machine. */
async function compare(
  t: { diagnostic(text: string): void },
  names: (kind: string) => readonly string[],
  ask: (name: string) => Promise<unknown>,
): Promise<void> {
  const [large, empty] = [names('large'), names('empty')];
  const times: Record<'large' | 'empty', number[]> = { large: [], empty: [] };
  for (const [index, name] of large.entries()) {
    times.large.push(...(await timed([name], ask)));
    times.empty.push(...(await timed([empty[index] ?? ''], ask)));
  }
  for (const list of Object.values(times)) list.sort((a, b) => a - b);
  t.diagnostic(`large: ${show(times.large)}; empty: ${show(times.empty)}`);
  assert.ok(at(times.large, 0.5) <= at(times.empty, 0.5) * MEDIAN_TIMES + MEDIAN_MS, show(times.large));
}

const named = (kind: string): readonly string[] =>
  Array.from({ length: TIMES }, (_, index) => `${kind}-${index}`);

test('rmi answers at once, however many files an image has', async (t) => {
  const kept = left('layers');
  for (const [index, name] of named('large').entries()) await importTar(name, many(FILES, `image ${index}`));
  for (const name of named('empty')) await importTar(name, rawTar([{ name }]));
  await compare(t, named, (image) => api(host).images.removeImage({ image }));
  await until(
    () => left('layers'),
    (now) => now.join() === kept.join(),
    60_000,
  );
  await checkContent(host);
});

test('rm answers at once, whatever the container wrote', async (t) => {
  const script = `mkdir /d; cd /d; seq 1 ${FILES} | xargs touch`;
  for (const name of named('large')) await host.ok(['run', '--name', name, 'busybox', 'sh', '-c', script]);
  for (const name of named('empty')) await host.ok(['create', '--name', name, 'busybox', 'true']);
  await compare(t, named, (container) => api(host).containers.removeContainer({ container }));
  await until(
    () => left('containers'),
    (now) => now.length === 0,
    60_000,
  );
  await checkContent(host);
});

test('what a killed server was deleting is deleted by the next one', async () => {
  // It dies while the container's files go, and the image's have just lost their record.
  host.arm('collect.put=1*delay(60000)');
  const kept = await settled();
  await importTar('going', many(FILES, 'going'));
  await host.ok([
    'run',
    '--name',
    'going',
    'busybox',
    'sh',
    '-c',
    'mkdir /d; cd /d; seq 1 5000 | xargs touch',
  ]);
  await api(host).images.removeImage({ image: 'going' });
  await api(host).containers.removeContainer({ container: 'going' });
  await host.kill9();
  assert.notEqual(left('layers').join(), kept);
  await host.start();
  await until(
    () => left('layers').join(),
    (now) => now === kept,
    60_000,
  );
  await until(
    () => left('containers'),
    (now) => now.length === 0,
    60_000,
  );
  await checkContent(host);
});

test('a server stops without waiting for much that is deleted', async () => {
  const kept = await settled();
  await importTar('going', many(4 * FILES, 'going'));
  await api(host).images.removeImage({ image: 'going' });
  const began = Date.now();
  assert.equal(await host.stop(), 0);
  assert.ok(Date.now() - began < 10_000 * SLOWNESS);
  await host.start();
  await until(
    () => left('layers').join(),
    (now) => now === kept,
    60_000,
  );
});

test('a removal that cannot delete at once says nothing of it, and the next one tries again', async () => {
  host.arm('collect.layers=1*error(no)');
  await importTar('one', many(10, 'one'));
  await importTar('two', many(10, 'two'));
  await api(host).images.removeImage({ image: 'one' });
  await until(
    () => host.log,
    (log) => log.includes('unneeded content could not be removed'),
  );
  await api(host).images.removeImage({ image: 'two' });
  await checkContent(host);
});

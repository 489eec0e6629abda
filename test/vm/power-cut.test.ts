/**
 * Power cuts while an image is loaded: a virtual machine with a disk of its own loads archives and is killed, at
 * times spread over a load and right behind the answer; then it is switched on again. What was answered is there,
 * each file of it, what was not is tried again, and nothing else is on the disk.
 *
 * Not in `npm test`: it takes minutes. `npm run test:vm` runs it. Not shown by it: a disk that forgets what it
 * said it had written.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ociArchive, packImage } from '../fixtures/image-archive.ts';
import { cacheFolder, fixtureTar } from '../fixtures/images.ts';
import { rawTar } from '../fixtures/raw-tar.ts';
import { exitCode, PROJECT } from '../harness/cli.ts';

/** When the power goes: parts of the time that a load takes, or with the answer. */
const CUTS: readonly (number | 'answer')[] = ['answer', 0.3, 0.6, 0.8, 'answer', 0.95];
/** One time to switch on and do everything but the load, emulated and beside others. */
const BOOT_MS = 900_000;

/** A line of the guest. */
interface Told {
  readonly event: string;
  readonly name?: string;
  readonly names?: readonly string[];
  readonly diffId?: string;
  readonly hash?: string;
  readonly what?: string;
  readonly ms?: number;
}

let folder: string;
before(async () => {
  // Not below /tmp, of which the machine has one of its own.
  mkdirSync(cacheFolder(), { recursive: true });
  folder = mkdtempSync(join(cacheFolder(), 'power-cut-'));
  const base = readFileSync(await fixtureTar('busybox'));
  for (const name of NAMES) {
    const layers = [base, many(name, 400, 20_000), many(`${name} top`, 150, 60_000)];
    const image = packImage({ layers, compression: 'gzip', config: { config: { Labels: { name } } } });
    writeFileSync(join(folder, `${name}.tar`), ociArchive(image, `docker.io/library/${name}:1`));
  }
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** In turns: one of them is on the disk while the other is loaded. */
const NAMES: readonly string[] = ['even', 'odd'];

/** Files whose content says where it belongs; everything has its time, so that two unpackings are equal. */
function many(mark: string, files: number, size: number): Buffer {
  const folders = ['./', ...Array.from({ length: 20 }, (_, index) => `d${index}/`)];
  return rawTar([
    ...folders.map((name) => ({ name, type: '5', mtime: 1_700_000_000 })),
    ...Array.from({ length: files }, (_, index) => {
      const name = `d${index % 20}/${mark.replace(' ', '-')}-${index}`;
      return { name, mtime: 1_700_000_000, data: `${name} `.repeat(size / 16).slice(0, size - index) };
    }),
  ]);
}

/**
 * Switches the machine on.
 * @param isDark - asked with each line: when the power goes, in ms from then; undefined: not yet.
 * @returns what it told.
 */
async function switchOn(
  args: readonly string[],
  isDark: (told: Told) => number | undefined = () => undefined,
): Promise<readonly Told[]> {
  const guest = ['sh', 'scripts/node.sh', 'test/vm/power-cut-guest.ts', ...args];
  const machine = spawn('sh', ['scripts/vm.sh', '-d', join(folder, 'disk'), ...guest], {
    cwd: PROJECT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const late = setTimeout(() => machine.kill('SIGTERM'), BOOT_MS);
  const told: Told[] = [];
  const others: string[] = [];
  let cut: Promise<void> | undefined;
  for await (const line of createInterface(machine.stdout)) {
    if (!line.startsWith('{')) {
      others.push(line);
      continue;
    }
    const event = JSON.parse(line) as Told;
    told.push(event);
    const ms = cut === undefined ? isDark(event) : undefined;
    if (ms !== undefined) cut = darken(machine, ms);
  }
  const code = await exitCode(machine);
  clearTimeout(late);
  const said = `${args.join(' ')}: exit status ${code}\n${told
    .map((event) => JSON.stringify(event))
    .slice(-20)
    .join('\n')}\n${others.slice(-30).join('\n')}`;
  if (cut === undefined) assert.equal(code, 0, said);
  else await cut;
  assert.deepEqual(
    told.filter(({ event }) => event === 'breach'),
    [],
    said,
  );
  return told;
}

/** The end of the script kills the machine where it stands; its output ends when it is gone. */
async function darken(machine: ChildProcess, ms: number): Promise<void> {
  await sleep(ms);
  machine.kill('SIGTERM');
}

/** What each look saw: names of images, hashes of layers. */
function looks(told: readonly Told[]): { images: string[]; layers: [string, string][] }[] {
  const found: { images: string[]; layers: [string, string][] }[] = [];
  let images: string[] = [];
  let layers: [string, string][] = [];
  for (const { event, names = [], diffId = '', hash = '' } of told) {
    if (event === 'image') images.push(...names.map((name) => name.replace(/^.*\/(.*):1$/, '$1')));
    if (event === 'layer') layers.push([diffId, hash]);
    if (event !== 'looked') continue;
    found.push({ images: images.sort(), layers });
    images = [];
    layers = [];
  }
  return found;
}

test('power cuts during a load', { timeout: BOOT_MS * (CUTS.length + 2) }, async (t) => {
  const first = await switchOn(['reference', folder, ...NAMES]);
  const [whole] = looks(first);
  assert.deepEqual(whole?.images, NAMES);
  const right = new Map(whole?.layers);
  // The last one, which shares a layer as all the others do.
  const loadMs = first.findLast(({ event }) => event === 'loaded')?.ms ?? 0;
  t.diagnostic(`a load takes ${loadMs} ms`);
  const answered = new Set([NAMES.at(-1) ?? '']);
  let begun = NAMES.at(-1) ?? '';
  for (const [index, cut] of [...CUTS, undefined].entries()) {
    const next = cut === undefined ? '-' : (NAMES[index % NAMES.length] ?? '');
    const told = await switchOn(['round', folder, begun, next], ({ event, name }) => {
      if (name !== next || cut === undefined) return undefined;
      if (cut === 'answer') return event === 'loaded' ? 0 : undefined;
      return event === 'loading' ? cut * loadMs : undefined;
    });
    const was = told.find(({ event }) => event === 'there')?.names ?? [];
    const fate = [
      answered.has(begun) ? 'answered' : 'not answered',
      was.includes(begun) ? 'there' : 'not there',
    ];
    t.diagnostic(`${begun} was ${fate.join(', ')}`);
    // What was cut off may be there: then its answer was on the way.
    for (const name of was) assert.ok(answered.has(name) || name === begun, `${name} is there again`);
    for (const name of answered) assert.ok(was.includes(name), `${name} is lost`);
    const seen = looks(told);
    assert.deepEqual(seen[0]?.images, [...new Set([...was, begun])].sort());
    for (const { layers } of seen)
      for (const [diffId, hash] of layers)
        assert.equal(hash, right.get(diffId), `layer ${diffId} is not whole`);
    for (const { event, name = '' } of told) {
      if (event === 'loaded') answered.add(name);
      if (event === 'removed') answered.delete(name);
    }
    begun = next;
  }
  assert.deepEqual([...answered], []);
});

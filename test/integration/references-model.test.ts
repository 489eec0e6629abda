/**
 * Six clients at random import, load, tag, remove, prune and create: each has images and containers of its own,
 * whose fate a small model foretells exactly, layers are shared between all, and a few references are fought
 * for. Between the rounds, also behind the death of the server, the disk holds what the records name.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { ImportHeader, LoadHeader } from '../../proto/gen/mydocker/v1/images.ts';
import { ociArchive, packImage } from '../fixtures/image-archive.ts';
import { rawTar } from '../fixtures/raw-tar.ts';
import { SLOWNESS } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { checkContent } from './content-rules.ts';
import { api, codeOf, dispose, list, remove } from './deaths-ground.ts';

let host: Host;
before(async () => {
  host = await startHost();
});
after(() => dispose(host));

const CLIENTS = 6;
const ROUNDS = 4;
const OPERATIONS = 20;
/** Of a round; a slow machine does fewer operations, not fewer checks. */
const ROUND_MS = 5000 * SLOWNESS;
const VARIANTS = 3;

/** Refusals that whoever quarrels may meet; a fault of the server's is none of them. */
const QUARREL = /^(NOT_FOUND|ALREADY_EXISTS|FAILED_PRECONDITION|ABORTED|CANCELLED)$/;

/** Of which all images are made, so that clients share them. */
const layer = (variant: number): Buffer =>
  rawTar([
    { name: `variant-${variant}`, data: `content ${variant}` },
    { name: 'shared/', type: '5' },
    { name: `shared/large-${variant}`, data: Buffer.alloc(5000, String(variant)) },
  ]);

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

async function importTar(reference: string, variant: number, label: string): Promise<string> {
  const { call, response } = api(host).images.importImage();
  const value = ImportHeader.fromPartial({ reference, config: { labels: { client: label } } });
  call.write({ frame: { $case: 'header', value } });
  call.end({ frame: { $case: 'chunk', value: layer(variant) } });
  return (await response).imageId;
}

async function load(
  name: string,
  variants: readonly number[],
  label: string,
  cancelMs = -1,
): Promise<string> {
  const config = { config: { Labels: { client: label } } };
  const archive = ociArchive(packImage({ layers: variants.map(layer), config }), name);
  const call = api(host).images.loadImages();
  if (cancelMs >= 0) setTimeout(() => call.cancel(), cancelMs);
  call.write({ frame: { $case: 'header', value: LoadHeader.create({}) } });
  call.write({ frame: { $case: 'chunk', value: archive } });
  call.end();
  let id = '';
  for await (const { event } of call) if (event?.$case === 'image') id = event.value.imageId;
  return id;
}

class Client {
  readonly #label: string;
  readonly #chance: () => number;
  readonly #references: readonly string[];
  /** Image that each of its references points at. */
  readonly #own = new Map<string, string>();
  /** Image of each of its containers. */
  readonly #containers = new Map<string, string>();
  readonly #log: string[] = [];
  #made = 0;
  done = 0;

  constructor(number: number, seed: number) {
    this.#label = `c${number}`;
    this.#chance = random(seed + number * 7919);
    this.#references = ['a', 'b', 'c'].map((name) => `docker.io/library/own-${number}:${name}`);
  }

  async act(until: number): Promise<void> {
    for (let count = 0; count < OPERATIONS && Date.now() < until; count += 1) {
      if (this.#chance() < 0.3) await this.#quarrel();
      else await this.#actOnOwn();
      this.done += 1;
    }
  }

  #pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.#chance() * all.length)] as T;
  }

  #variant(): number {
    return Math.floor(this.#chance() * VARIANTS);
  }

  #refused(image: string): string {
    const references = [...this.#own.values()].filter((id) => id === image).length;
    return references === 1 && [...this.#containers.values()].includes(image) ? 'FAILED_PRECONDITION' : '';
  }

  /** What is done, and what must come of it: a code, or '' for success. */
  async #actOnOwn(): Promise<void> {
    const reference = this.#pick(this.#references);
    const image = this.#own.get(reference);
    const { images, containers } = api(host);
    const operations: Record<string, () => Promise<[string, Promise<unknown>, () => void]>> = {
      import: async () => {
        const work = importTar(reference, this.#variant(), this.#label);
        return ['', work, () => this.#own.set(reference, this.#id)];
      },
      load: async () => {
        const variants = [this.#variant(), this.#variant(), this.#variant()].slice(this.#variant());
        const work = load(reference, variants, `${this.#label} ${reference}`);
        return ['', work, () => this.#own.set(reference, this.#id)];
      },
      tag: async () => {
        const other = this.#pick(this.#references);
        const work = images.tagImage({ image: reference, reference: other });
        return [image === undefined ? 'NOT_FOUND' : '', work, () => this.#own.set(other, image ?? '')];
      },
      rmi: async () => {
        const foretold = image === undefined ? 'NOT_FOUND' : this.#refused(image);
        return [foretold, images.removeImage({ image: reference }), () => this.#own.delete(reference)];
      },
      'rmi -f': async () => {
        const work = images.removeImage({ image: reference, force: true });
        return [image === undefined ? 'NOT_FOUND' : '', work, () => this.#own.delete(reference)];
      },
      create: async () => {
        this.#made += 1;
        const name = `${this.#label}-${this.#made}`;
        const config = { rootfs: { $case: 'image', value: reference }, command: { values: ['x'] } } as const;
        const work = containers.createContainer({ name, config });
        return [image === undefined ? 'NOT_FOUND' : '', work, () => this.#containers.set(name, image ?? '')];
      },
      rm: async () => {
        const name = this.#pick([...this.#containers.keys(), `${this.#label}-none`]);
        const work = containers.removeContainer({ container: name });
        const foretold = this.#containers.has(name) ? '' : 'NOT_FOUND';
        return [foretold, work, () => this.#containers.delete(name)];
      },
      prune: async () => {
        const key = { key: 'client', value: `${this.#label} ${reference}` };
        const work = images.pruneImages({ all: true, filter: { labels: [key] } });
        return ['', work, () => this.#pruned(work as Promise<{ deleted: readonly string[] }>)];
      },
    };
    const operation = this.#pick(Object.keys(operations));
    const [foretold, work, apply] = (await operations[operation]?.()) ?? ['', Promise.resolve(), () => {}];
    const outcome = await work.then(
      (value) => {
        this.#id = typeof value === 'string' ? value : '';
        this.#deleted = (value as { deleted?: readonly string[] })?.deleted ?? [];
        return '';
      },
      (error: unknown) => codeOf(error),
    );
    this.#log.push(`${operation} ${reference} (${image?.slice(7, 15) ?? 'gone'}): ${outcome}`);
    assert.equal(outcome, foretold, `${this.#label}:\n  ${this.#log.slice(-10).join('\n  ')}`);
    if (foretold === '') apply();
  }

  /** Answer to the last operation. */
  #id = '';
  #deleted: readonly string[] = [];

  #pruned(_work: Promise<unknown>): void {
    for (const id of this.#deleted)
      assert.ok(![...this.#containers.values()].includes(id), `${this.#label}: pruned an image in use`);
    for (const [reference, id] of this.#own) if (this.#deleted.includes(id)) this.#own.delete(reference);
  }

  /** On what others use at the same time: anything may be refused, nothing may go wrong. */
  async #quarrel(): Promise<void> {
    const reference = `shared:${this.#pick(['a', 'b'])}`;
    const { images, containers } = api(host);
    const config = { rootfs: { $case: 'image', value: reference }, command: { values: ['x'] } } as const;
    const work = this.#pick<() => Promise<unknown>>([
      () => importTar(reference, this.#variant(), 'all'),
      () => load(reference, [this.#variant(), this.#variant()], 'all'),
      () => load(reference, [0, 1, 2], 'all', this.#chance() * 300),
      () => images.tagImage({ image: reference, reference: `shared:${this.#pick(['a', 'b'])}` }),
      () => images.removeImage({ image: reference, force: this.#chance() < 0.5 }),
      () => images.pruneImages({}),
      () => images.pruneImages({ all: true, filter: { labels: [{ key: 'client', value: 'all' }] } }),
      () => containers.createContainer({ config }),
    ]);
    try {
      await work();
    } catch (error) {
      assert.match(codeOf(error), QUARREL, `${error}`);
    }
  }

  /** The server and the model agree, and everything that an own container stands on is there. */
  async compare(): Promise<void> {
    const told = `${this.#label}\n  ${this.#log.slice(-10).join('\n  ')}`;
    for (const reference of this.#references) {
      const found = await api(host)
        .images.getImage({ image: reference })
        .then(({ image }) => image?.id, codeOf);
      assert.equal(found, this.#own.get(reference) ?? 'NOT_FOUND', `${reference} of ${told}`);
    }
    for (const container of this.#containers.keys()) {
      const { container: found } = await api(host).containers.getContainer({ container });
      const { lowerDirs = [] } = found?.paths ?? {};
      assert.ok(
        lowerDirs.length > 0 && lowerDirs.every((path) => existsSync(path)),
        `${container} of ${told}`,
      );
    }
  }
}

test('clients at random agree with the model, and the disk with the records', async (t) => {
  const seed = Number(process.env['MYDOCKER_TEST_SEED'] ?? Date.now() % 1_000_000);
  t.diagnostic(`MYDOCKER_TEST_SEED=${seed}`);
  const clients = Array.from({ length: CLIENTS }, (_, number) => new Client(number, seed));
  for (let round = 0; round < ROUNDS; round += 1) {
    const until = Date.now() + ROUND_MS;
    await Promise.all(clients.map((client) => client.act(until)));
    for (const client of clients) await client.compare();
    if (round % 2 === 0) {
      // What goes behind the answers is cut off, and goes on with the next server.
      await host.kill9();
      await host.start();
    }
    await checkContent(host);
    for (const client of clients) await client.compare();
  }
  for (const { id } of await list(host)) await remove(host, id);
  await api(host).images.pruneImages({ all: true });
  await checkContent(host);
  assert.equal(await host.ok(['images', '-q']), '');
  t.diagnostic(`${clients.reduce((sum, client) => sum + client.done, 0)} operations`);
  assert.doesNotMatch(host.log, /"level":"(error|fatal)"/);
});

test('an import that takes its name from another image is never seen as dangling', async () => {
  const { images } = api(host);
  let done = false;
  const prunes = Array.from({ length: 2 }, async () => {
    while (!done) await images.pruneImages({});
  });
  try {
    for (let count = 0; count < 12; count += 1) {
      const id = await importTar('taken:1', count % VARIANTS, 'one');
      assert.equal((await images.getImage({ image: 'taken:1' })).image?.id, id);
    }
  } finally {
    done = true;
    await Promise.all(prunes);
  }
  await images.removeImage({ image: 'taken:1' });
});

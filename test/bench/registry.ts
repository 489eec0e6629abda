/**
 * The bench's lines about registries: the image of the load line from a docker-registry on the loopback and back to an
 * empty one, beside the peers, with memory and patience of the server.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { debianArchive } from '../fixtures/debian-image.ts';
import { TestRegistry } from '../fixtures/registry.ts';
import type { Line, Promised } from './document.ts';
import { effort, type Field, resultOf } from './lines.ts';
import { ask, floor, memoryMb, memoryNow } from './load.ts';
import { type Contender, measure, type Result, timeEach } from './measure.ts';
import type { Own } from './own.ts';

const IMAGE = 'debian:1';

/** What the work of ours did to the server. */
interface Burden {
  /** Growth of its resident memory since before the first time, at its peak, in MB. */
  growthMb: number;
  /** How long other calls took, in ms. */
  readonly waits: number[];
}

/** Pulls 109 MB, with everybody's memory of it removed in between. */
export async function measurePull(field: Field): Promise<Line> {
  const { ground, own, peers } = field;
  const registry = new TestRegistry(join(ground.folder, 'registry'), { port: 5000 });
  await registry.start();
  const name = await registry.copy(`oci-archive:${debianArchive('oci-gzip')}`, IMAGE, ['--preserve-digests']);
  const burden: Burden = { growthMb: 0, waits: [] };
  const contenders: Contender[] = [floor(ground)];
  if (own !== undefined) contenders.push(...ourPulls(own, join(ground.folder, 'mydocker'), name, burden));
  for (const peer of peers)
    contenders.push({
      name: peer.name,
      sample: async () => {
        const ms = await timeEach(1, () => peer.pull(name));
        await peer.forgetImage(name);
        execFileSync('sync');
        return ms;
      },
    });
  try {
    const results = await measure(contenders, effort(field, 3, 1, 1));
    return {
      id: 'pull',
      title: 'Pull of an image of 292 MB, 109 MB packed, 11,900 files and 3 layers',
      what:
        "From Debian's docker-registry on the loopback, from the command line, until the image is there and, with us, " +
        'on the disk. The floor is `gzip -dc | tar -x` of the same layers, one after the other, and sync. Meanwhile ' +
        'another client asks the server of ours for its version all the time.',
      unit: 'ms',
      moreIsBetter: false,
      results,
      why:
        'What dominates, sampled: the workers that unpack, one layer after the other, 85 to 90 % of the time, and of ' +
        'theirs the calls that make files; the wait for the disk at the end, 0.3 s; the transfer runs beside them. To ' +
        'unpack layers side by side, each would have to do without what it learns from those below it.',
      promises: [
        ...ratio(results, 'mydocker', 'docker', 'mydocker ÷ docker', 0.7),
        ...ratio(results, 'mydocker', 'floor', 'mydocker ÷ gzip -dc | tar -x, and sync', 1.5),
        ...limit(results, 'mydocker, what is there', 'pull of what is there in ms', 100),
        ...burdens(burden),
      ],
    };
  } finally {
    await registry.stop();
  }
}

/** Pushes the same to a registry that has nothing. */
export async function measurePush(field: Field): Promise<Line> {
  const { ground, own, peers } = field;
  const source = new TestRegistry(join(ground.folder, 'source'), { port: 5001 });
  const folder = join(ground.folder, 'empty');
  const registry = new TestRegistry(folder, { port: 5002 });
  await Promise.all([source.start(), registry.start()]);
  const name = await source.copy(`oci-archive:${debianArchive('oci-gzip')}`, IMAGE, ['--preserve-digests']);
  const there = `${registry.address}/${IMAGE}`;
  const burden: Burden = { growthMb: 0, waits: [] };
  const empty = (): void => {
    rmSync(join(folder, 'content'), { recursive: true });
    mkdirSync(join(folder, 'content'));
    execFileSync('sync');
  };
  const contenders: Contender[] = [];
  if (own !== undefined) {
    await own.cli(['pull', '-q', name]);
    await own.cli(['tag', name, there]);
    const before = memoryNow(own.daemon.pid);
    contenders.push({
      name: 'mydocker',
      sample: async () => {
        const ms = await watched(own, burden, before, () => own.cli(['push', '-q', there]));
        empty();
        return ms;
      },
    });
  }
  for (const peer of peers) {
    await peer.pull(name);
    await peer.tag(name, there);
    contenders.push({
      name: peer.name,
      sample: async () => {
        const ms = await timeEach(1, () => peer.push(there));
        empty();
        return ms;
      },
    });
  }
  try {
    const results = await measure(contenders, effort(field, 3, 1, 1));
    return {
      id: 'push',
      title: 'Push of the same image',
      what:
        'To an empty docker-registry on the loopback, of an image that was pulled from another one. `ctr` and we send the layers as they came; ' +
        '`docker` and `podman` pack them anew.',
      unit: 'ms',
      moreIsBetter: false,
      results,
      promises: [...ratio(results, 'mydocker', 'docker', 'mydocker ÷ docker', 1), ...burdens(burden)],
    };
  } finally {
    await Promise.all([source.stop(), registry.stop()]);
  }
}

function ourPulls(own: Own, root: string, name: string, burden: Burden): Contender[] {
  const layers = join(root, 'layers');
  const before = memoryNow(own.daemon.pid);
  const forget = async (there: number): Promise<void> => {
    await own.cli(['rmi', name]);
    while (readdirSync(layers).length > there) await sleep(20);
    execFileSync('sync');
  };
  return [
    {
      name: 'mydocker',
      sample: async () => {
        const there = readdirSync(layers).length;
        const ms = await watched(own, burden, before, () => own.cli(['pull', '-q', name]));
        await forget(there);
        return ms;
      },
    },
    {
      name: 'mydocker, what is there',
      sample: async () => {
        const there = readdirSync(layers).length;
        await own.cli(['pull', '-q', name]);
        const ms = await timeEach(5, () => own.cli(['pull', '-q', name]));
        await forget(there);
        return ms;
      },
    },
  ];
}

async function watched(
  own: Own,
  burden: Burden,
  before: number,
  work: () => Promise<void>,
): Promise<readonly number[]> {
  const asking = new AbortController();
  const asked = ask(own, burden.waits, asking.signal);
  const ms = await timeEach(1, work);
  asking.abort();
  await asked;
  burden.growthMb = Math.max(burden.growthMb, memoryMb(own.daemon.pid, 'VmHWM') - before);
  return ms;
}

function ratio(
  results: readonly Result[],
  ours: string,
  theirs: string,
  text: string,
  most: number,
): Promised[] {
  const [a, b] = [resultOf(results, ours), resultOf(results, theirs)];
  if (a === undefined || b === undefined) return [];
  return [{ text, measured: a.median / b.median, limit: most, sense: 'at most' }];
}

function limit(results: readonly Result[], name: string, text: string, most: number): Promised[] {
  const found = resultOf(results, name);
  return found === undefined ? [] : [{ text, measured: found.median, limit: most, sense: 'at most' }];
}

function burdens({ growthMb, waits }: Burden): Promised[] {
  if (waits.length === 0) return [];
  const p99 = waits.toSorted((a, b) => a - b)[Math.floor(waits.length * 0.99)] ?? 0;
  return [
    { text: 'growth of the server in MB', measured: growthMb, limit: 50, sense: 'at most' },
    { text: 'p99 of other calls meanwhile in ms', measured: p99, limit: 20, sense: 'at most' },
  ];
}

/**
 * The bench's line about loading an image: time beside floor and peers, memory and patience of the server, and how
 * soon it answers when all of it is removed again.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { type DebianForm, debianArchive, debianLayers } from '../fixtures/debian-image.ts';
import type { Line, Promised } from './document.ts';
import type { Ground } from './ground.ts';
import { effort, type Field } from './lines.ts';
import { type Contender, measure, type Result, timeEach } from './measure.ts';
import type { Own } from './own.ts';
import { summarize } from './stats.ts';

const NAME = 'debian-layers:1';
/** Between two calls that ask how long an answer takes, in ms. */
const PAUSE_MS = 10;

/** What the loads of ours did to the server. */
interface Burden {
  /** Growth of its resident memory since before the first load, at its peak, in MB. */
  growthMb: number;
  /** How long other calls took, in ms. */
  readonly waits: number[];
  /** Until `rmi` of the image was answered, in ms. */
  readonly imageRemovals: number[];
  /** Until `rm` of a container that wrote a thousand files was answered, in ms. */
  readonly containerRemovals: number[];
}

const WRITES = 'mkdir /many; cd /many; seq 1 1000 | xargs touch';

/** Loads 300 MB, with everybody's memory of it removed in between. */
export async function measureLoad(field: Field): Promise<Line> {
  const { ground, own, peers } = field;
  const burden: Burden = { growthMb: 0, waits: [], imageRemovals: [], containerRemovals: [] };
  const contenders: Contender[] = [floor(ground)];
  if (own !== undefined) {
    const before = memoryNow(own.daemon.pid);
    for (const form of ['docker', 'oci-gzip'] as const)
      contenders.push(ours(own, ground, form, before, burden));
  }
  for (const { name, loads, load, unload } of peers) {
    const path = debianArchive(loads);
    contenders.push({
      name: `${name}, ${loads}`,
      sample: async () => {
        const ms = await timeEach(1, () => load(path));
        await unload(NAME);
        execFileSync('sync');
        return ms;
      },
    });
  }
  const results = await measure(contenders, effort(field, 5, 1, 1));
  return {
    id: 'load',
    title: 'Load of an image of 292 MB, 11,900 files and 3 layers',
    what:
      'From the command line, until the image is there and, with us, on the disk. `docker` is the form of docker ' +
      'save before OCI, whose layers are plain; `oci-gzip` an OCI layout with compressed layers. The floor is ' +
      '`gzip -dc | tar -x` of the same layers, one after the other, and sync. Meanwhile another client asks the ' +
      'server of ours for its version all the time.',
    unit: 'ms',
    moreIsBetter: false,
    results,
    why:
      'What dominates: the worker that takes the archive apart, hashes it and writes it down, since what is in it is ' +
      'known at its end only, then those that unpack the layers, one after the other, each on what is below it, and the ' +
      'wait for the disk, once. What was tried, and stayed: the server reads a file that it sees in place of being ' +
      'sent it, each byte is hashed once, nothing but the result is synced, a spooled layer is gone before the disk ' +
      'hears of it, and the code of the worker is kept compiled.',
    promises: promises(results, burden),
  };
}

function ours(own: Own, ground: Ground, form: DebianForm, before: number, burden: Burden): Contender {
  const path = debianArchive(form);
  const layers = join(ground.folder, 'mydocker/layers');
  return {
    name: `mydocker, ${form}`,
    sample: async () => {
      const there = readdirSync(layers).length;
      const asking = new AbortController();
      const asked = ask(own, burden.waits, asking.signal);
      const ms = await timeEach(1, () => own.cli(['load', '-q', '-i', path]));
      asking.abort();
      await asked;
      burden.growthMb = Math.max(burden.growthMb, memoryMb(own.daemon.pid, 'VmHWM') - before);
      await own.cli(['run', '--name', 'many', '--network', 'none', NAME, 'sh', '-c', WRITES]);
      const [containers, images] = [burden.containerRemovals, burden.imageRemovals];
      containers.push(
        ...(await timeEach(1, () => own.api.containers.removeContainer({ container: 'many' }))),
      );
      images.push(...(await timeEach(1, () => own.api.images.removeImage({ image: NAME }))));
      while (readdirSync(layers).length > there) await sleep(20);
      execFileSync('sync');
      return ms;
    },
  };
}

/** Asks the server for its version until told to stop, and notes how long each answer took. */
export async function ask({ api }: Own, waits: number[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    waits.push(...(await timeEach(1, () => api.system.getVersion({}))));
    await sleep(PAUSE_MS);
  }
}

/** What a shell needs for the same layers. */
export function floor(ground: Ground): Contender {
  const packed = debianLayers().map((path, index) => {
    const result = join(ground.folder, `layer-${index}.tar.gz`);
    writeFileSync(result, gzipSync(readFileSync(path)));
    return result;
  });
  const folder = join(ground.folder, 'unpacked');
  // A folder that becomes a file is an error to tar, and to nobody else here.
  const line = packed.map((path) => `gzip -dc ${path} | tar -xp --numeric-owner -C ${folder}`).join('; ');
  return {
    name: 'floor',
    sample: async () => {
      mkdirSync(folder);
      const ms = await timeEach(1, async () =>
        execFileSync('sh', ['-c', `{ ${line}; } 2>/dev/null; sync -f ${folder}`]),
      );
      rmSync(folder, { recursive: true });
      execFileSync('sync');
      return ms;
    },
  };
}

function promises(results: readonly Result[], burden: Burden): readonly Promised[] {
  const { growthMb, waits, imageRemovals, containerRemovals } = burden;
  const median = (name: string): number | undefined => results.find((r) => r.name === name)?.median;
  const ratio = (a: string, b: string, text: string, limit: number): Promised[] => {
    const [first, second] = [median(a), median(b)];
    return first === undefined || second === undefined
      ? []
      : [{ text, measured: first / second, limit, sense: 'at most' }];
  };
  const late = waits.toSorted((a, b) => a - b);
  const p99 = late[Math.floor(late.length * 0.99)] ?? 0;
  return [
    ...ratio('mydocker, docker', 'docker, docker', 'mydocker ÷ docker', 0.7),
    ...ratio('mydocker, oci-gzip', 'floor', 'mydocker ÷ gzip -dc | tar -x, and sync', 1.5),
    ...(waits.length === 0
      ? []
      : ([
          { text: 'growth of the server in MB', measured: growthMb, limit: 50, sense: 'at most' },
          { text: 'p99 of other calls meanwhile in ms', measured: p99, limit: 20, sense: 'at most' },
          answer('rmi of it', imageRemovals),
          answer('rm of a container that wrote 1,000 files', containerRemovals),
        ] as const)),
  ];
}

/** The files themselves go behind it. */
function answer(what: string, times: readonly number[]): Promised {
  const text = `answer to ${what} in ms, median`;
  return { text, measured: summarize(times).median, limit: 10, sense: 'at most' };
}

/** Resident memory of a process in MB; its peak is counted from here on. */
export function memoryNow(pid: number): number {
  // Source: proc_pid_clear_refs(5).
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
  return memoryMb(pid, 'VmRSS');
}

/** Resident memory of a process in MB, now or at its peak. */
export function memoryMb(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return (Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(text)?.[1] ?? 0) * 1024) / 1e6;
}

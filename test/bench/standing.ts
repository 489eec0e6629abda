/** Lines about what stands still: memory of idle containers, lists, the command line's own start. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { Line } from './document.ts';
import { effort as effortOf, type Field } from './lines.ts';
import { inFlight, measure, type Result, timeEach } from './measure.ts';
import { pssBytes, pssOfAll } from './memory.ts';
import { quiet } from './peers.ts';
import { summarize } from './stats.ts';

const one = (name: string, samples: readonly number[]): Result => ({ name, ...summarize(samples) });

const upTo = (limit: number, text: string, result: Result | undefined): Line['promises'] =>
  result === undefined ? [] : [{ text, measured: result.median, limit, sense: 'at most' }];

/** The server's size once it has come to rest: collected garbage and returned pages are not a container's weight. */
async function settledPss(pid: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let look = 0; look < 6; look += 1) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    least = Math.min(least, pssBytes(pid));
  }
  return least;
}

/** What a container weighs that does nothing. */
export async function measureIdle(field: Field): Promise<Line> {
  const { own } = field;
  const count = Math.max(10, Math.round(100 * field.scale));
  const results: Result[] = [];
  if (own !== undefined) {
    const ids: string[] = [];
    const start = (): Promise<unknown> => own.startDetached(['sleep', '100000']).then((id) => ids.push(id));
    // what the first containers load is not what one more costs
    await inFlight(10, 4, start);
    const before = await settledPss(own.daemon.pid);
    await inFlight(count, 4, start);
    const grown = ((await settledPss(own.daemon.pid)) - before) / count;
    results.push(
      one(
        'mydocker shim',
        pssOfAll(/^mydocker-shim/).map((bytes) => bytes / 1024),
      ),
    );
    results.push(one('mydocker server, growth', [Math.max(0, grown) / 1024]));
    await inFlight(ids.length, 4, (number) => own.remove(ids[number] ?? ''));
  }
  return {
    id: 'idle',
    title: `Memory of an idle container, one of ${count}`,
    what: 'Proportional set size of its shim, and what the server grows by for each container.',
    unit: 'KiB',
    moreIsBetter: false,
    results,
    promises: [
      ...upTo(
        204.8,
        'a shim, KiB',
        results.find(({ name }) => name === 'mydocker shim'),
      ),
      ...upTo(
        50,
        'the server, KiB a container',
        results.find(({ name }) => name === 'mydocker server, growth'),
      ),
    ],
  };
}

/** A list that a person or a dashboard asks for. */
export async function measureList(field: Field): Promise<Line> {
  const { own } = field;
  const count = 500;
  const results: Result[] = [];
  if (own !== undefined) {
    const ids: string[] = [];
    await inFlight(count, 8, async () => ids.push(await own.create(['true'])));
    const list = async (): Promise<void> => {
      let seen = 0;
      for await (const page of own.api.containers.listContainers({})) seen += page.containers.length;
      if (seen !== count) throw new Error(`${seen} containers in the list, ${count} were made`);
    };
    const effort = { turns: 1, perTurn: 50, warmUp: 10 };
    results.push(
      ...(await measure([{ name: 'mydocker API', sample: (times) => timeEach(times, list) }], effort)),
    );
    await inFlight(count, 8, (number) => own.remove(ids[number] ?? ''));
  }
  return {
    id: 'list',
    title: `A list of ${count} containers`,
    what: 'All pages of ListContainers, decoded, on an open connection.',
    unit: 'ms',
    moreIsBetter: false,
    results,
    promises: upTo(15, 'ms', results[0]),
  };
}

/** Time on a processor of all threads of a process so far, in ms; those that have ended are not among them. */
const busyMs = (pid: number): number =>
  readdirSync(`/proc/${pid}/task`)
    .map(
      (thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e6,
    )
    .reduce((sum, ms) => sum + ms, 0);

/** What a dashboard that watches everything costs the server. */
export async function measureStats(field: Field): Promise<Line> {
  const { own } = field;
  const count = Math.max(20, Math.round(200 * field.scale));
  const results: Result[] = [];
  if (own !== undefined) {
    const ids: string[] = [];
    await inFlight(count, 4, async () => ids.push(await own.startDetached(['sleep', '100000'])));
    const samples: number[] = [];
    let [before, seen] = [0, 0];
    for await (const { stats } of own.api.tasks.watchTaskStats({ intervalMs: 250 })) {
      seen += stats.length;
      if (seen % count !== 0) continue;
      const now = busyMs(own.daemon.pid);
      // The first rounds are slower, as everything is.
      if (seen > 5 * count) samples.push(now - before);
      before = now;
      if (samples.length === 20) break;
    }
    results.push(one('mydocker server', samples));
    await inFlight(count, 4, (number) => own.remove(ids[number] ?? ''));
  }
  return {
    id: 'stats',
    title: `A round of stats of ${count} containers`,
    what: 'Time on a processor that the server takes for each round of WatchTaskStats, all of its threads.',
    unit: 'ms',
    moreIsBetter: false,
    results,
    promises: upTo(50, `ms for ${count} containers`, results[0]),
  };
}

/** What every command costs before it does anything. */
export async function measurePs(field: Field): Promise<Line> {
  const { own } = field;
  const node = (): Promise<void> => quiet(process.execPath, ['--eval', '0']);
  const contenders = [{ name: 'bare Node', sample: (times: number) => timeEach(times, node) }];
  if (own !== undefined) {
    contenders.push({ name: 'mydocker ps', sample: (times) => timeEach(times, () => own.cli(['ps'])) });
  }
  const results = await measure(contenders, effortOf(field, 6, 5, 3));
  const [bare, ps] = results;
  return {
    id: 'ps',
    title: '`ps` on an idle server',
    what: 'A whole command, beside the same Node that does nothing.',
    unit: 'ms',
    moreIsBetter: false,
    results,
    promises:
      bare === undefined || ps === undefined
        ? []
        : [
            {
              text: 'ms more than bare Node',
              measured: ps.median - bare.median,
              limit: 30,
              sense: 'at most',
            },
          ],
  };
}

/** What the machine is. */
export function describeMachine(): Record<string, string> {
  const read = (command: string, ...args: string[]): string =>
    execFileSync(command, args, { encoding: 'utf8' }).trim();
  return {
    processors: `${read('nproc')} × ${/model name\s*: (.*)/.exec(read('cat', '/proc/cpuinfo'))?.[1] ?? 'unknown'}`,
    memory: `${Math.round(Number(/MemTotal:\s+(\d+)/.exec(read('cat', '/proc/meminfo'))?.[1] ?? 0) / 1048576)} GiB`,
    kernel: read('uname', '-r'),
    system: /PRETTY_NAME="(.*)"/.exec(read('cat', '/etc/os-release'))?.[1] ?? 'unknown',
    disk: read('stat', '--file-system', '--format=%T', '/var/tmp'),
    load: `${read('cat', '/proc/loadavg').split(' ')[0] ?? ''} before the run`,
  };
}

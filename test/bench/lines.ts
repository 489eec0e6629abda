/** What is measured, each line with its contenders and its promise. A line here is a section of docs/benchmarks.md. */
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../harness/cli.ts';
import type { Line } from './document.ts';
import type { Ground } from './ground.ts';
import type { Watch } from './leftovers.ts';
import { type Contender, type Effort, inFlight, measure, type Result, timeEach } from './measure.ts';
import type { Own } from './own.ts';
import { ownLog } from './own-log.ts';
import { type Peer, podmanForget, podmanLog, quiet } from './peers.ts';
import type { Runtime } from './runtimes.ts';
import { summarize } from './stats.ts';
import { LIFE, traceSteps } from './trace.ts';

/** Everybody who takes part. A peer that is not there is left out of its lines. */
export interface Field {
  readonly ground: Ground;
  readonly own: Own | undefined;
  readonly peers: readonly Peer[];
  readonly runtimes: readonly Runtime[];
  /** Counts what is left behind. */
  readonly watch: Watch;
  /** 1 for a whole run; less for a try. */
  readonly scale: number;
}

/** The result of a contender. */
export const resultOf = (results: readonly Result[], name: string): Result | undefined =>
  results.find((result) => result.name === name);

/** A promise in the form `ours ÷ theirs`; none when one of the two did not take part. */
function ratio(
  results: readonly Result[],
  [ours, theirs]: readonly [string, string],
  text: string,
  limit: number,
  sense: 'at most' | 'at least' = 'at most',
): Line['promises'] {
  const a = resultOf(results, ours);
  const b = resultOf(results, theirs);
  return a === undefined || b === undefined ? [] : [{ text, measured: a.median / b.median, limit, sense }];
}

const each = (name: string, once: () => Promise<unknown>): Contender => ({
  name,
  sample: (count) => timeEach(count, once),
});

/** Effort of a whole run, scaled. */
export const effort = (field: Field, turns: number, perTurn: number, warmUp: number): Effort => ({
  turns: Math.max(1, Math.round(turns * field.scale)),
  perTurn,
  warmUp,
  watch: field.watch,
});

/** The static C program that does nothing else. */
export function floor(ground: Ground): Contender {
  return {
    name: 'floor',
    sample: async (count) => {
      const args = [ground.rootfs, ground.folder, String(count)];
      return JSON.parse(execFileSync(join(PROJECT, 'build/test/floor'), args, { encoding: 'utf8' })).ms;
    },
  };
}

/** What a write costs that must not be lost: so many bytes as the record of a container. */
function durableWrite(ground: Ground): Contender {
  return {
    name: 'a durable write, without a database',
    sample: async (count) => {
      const file = openSync(join(ground.folder, 'durable'), 'a');
      try {
        return await timeEach(count, async () => {
          writeSync(file, Buffer.alloc(2_500));
          fdatasyncSync(file);
        });
      } finally {
        closeSync(file);
      }
    },
  };
}

/** The four calls one by one, and what each call and each durable answer costs at least. */
async function startParts(field: Field, own: Own): Promise<Result[]> {
  const names = ['create', 'start', 'wait, the process runs meanwhile', 'remove'];
  const calls: (readonly number[])[] = [];
  for (let number = 0; number < 200 * field.scale; number += 1) calls.push(await own.runToEnd(['true']));
  const parts = names.map((name, index) => ({ name, ...summarize(calls.map((call) => call[index] ?? 0)) }));
  const least = [each('an empty call', () => own.api.system.ping({})), durableWrite(field.ground)];
  return [
    ...parts,
    ...(await measure(least, effort(field, 10, 20, 5))),
    ...(await traceSteps(field, 'traced', LIFE, (traced) => traced.runToEnd(['true']))),
  ];
}

/** A start, from the first call to the last trace of it removed. */
export async function measureStart(field: Field): Promise<Line> {
  const { ground, own, runtimes } = field;
  const results = await measure(
    [
      floor(ground),
      ...(own === undefined ? [] : [each('mydocker API', () => own.runToEnd(['true']))]),
      ...runtimes.map((runtime) => each(runtime.name, () => runtime.runTrue())),
    ],
    effort(field, 10, 20, 5),
  );
  const parts = own === undefined ? {} : { parts: await startParts(field, own) };
  return {
    id: 'start',
    title: 'Create, start, wait and remove a container without network',
    what:
      'The floor is a static C program with the same isolation and nothing else: control groups, clone3 into all ' +
      'namespaces, overlay, proc, sys, dev, pivot_root, exec of `true`, wait, removal. mydocker: four calls on an ' +
      'open connection, three of which answer only when what they did is on the disk. The runtimes: one process ' +
      'each, on a prepared bundle without an overlay.',
    unit: 'ms',
    moreIsBetter: false,
    results,
    ...parts,
    why:
      'What dominates: the kernel, from clone3 to exec and again until everything is reaped, then the durable writes ' +
      'that answers wait for, then four round trips with the JavaScript between them. The floor has the first part ' +
      'only. What was tried, and stayed: groups are made and joined while the child mounts, and the lock of a join, ' +
      'whose first taker waits for an RCU grace period, is taken ahead from the create on; the intent is written ' +
      'while the shim works; `running` is not waited for, and no folder is synced; plans are encoded without copies; ' +
      'files go behind the answer; groups, network namespace and the fork of a shim are made ahead, when the ' +
      'container before has ended (the line below has the start alone); an empty group is not frozen to be killed. What ' +
      'is left: the reaping of namespaces, which the floor has too, three synced writes one behind the other, and four ' +
      'calls.',
    promises: ratio(results, ['mydocker API', 'floor'], 'mydocker API ÷ floor', 1.5),
  };
}

/** What a person waits for. */
export async function measureRun(field: Field): Promise<Line> {
  const { own, peers } = field;
  const results = await measure(
    [
      ...(own === undefined
        ? []
        : [each('mydocker run', () => own.cli(['run', '--rm', '--network', 'none', 'bench', 'true']))]),
      ...peers.map((peer) => each(`${peer.name} run`, () => peer.runToEnd(['true']))),
    ],
    effort(field, 8, 5, 2),
  );
  return {
    id: 'run',
    title: '`run --rm` of `true` from the command line',
    what: 'A whole command, from its start to its exit, without network; the image is there.',
    unit: 'ms',
    moreIsBetter: false,
    results,
    promises: [
      ...ratio(results, ['mydocker run', 'ctr run'], 'mydocker ÷ ctr', 1),
      ...ratio(results, ['mydocker run', 'docker run'], 'mydocker ÷ docker', 0.5),
    ],
  };
}

/** One more process in a running container. */
export async function measureExec(field: Field): Promise<Line> {
  const { own, runtimes } = field;
  const undo: (() => Promise<void>)[] = [];
  const contenders: Contender[] = [];
  for (const runtime of runtimes) {
    const [id = ''] = runtime.prepareSleepers(1);
    await runtime.startSleeper(id);
    undo.push(() => runtime.remove(id));
    contenders.push(each(`${runtime.name} exec`, () => runtime.execTrue(id)));
  }
  if (own !== undefined) {
    const id = await own.startDetached(['sleep', '100000']);
    undo.push(() => own.remove(id));
    contenders.push(each('mydocker API', () => own.execTrue(id)));
  }
  const results = await measure(contenders, effort(field, 10, 20, 5));
  for (const step of undo) await step();
  return {
    id: 'exec',
    title: '`exec` of `true` in a running container, and wait',
    what: 'mydocker: two calls on an open connection. The runtimes: one process each.',
    unit: 'ms',
    moreIsBetter: false,
    results,
    promises: ratio(results, ['mydocker API', 'crun exec'], 'mydocker API ÷ crun', 1.5),
  };
}

/** How many starts a second, when eight are always under way. */
export async function measureThroughput(field: Field): Promise<Line> {
  const { own, runtimes } = field;
  const count = Math.max(8, Math.round(100 * field.scale));
  const perSecond = async (starts: (number: number) => Promise<unknown>): Promise<number> => {
    const [ms = 1] = await timeEach(1, () => inFlight(count, 8, starts));
    return (count / ms) * 1000;
  };
  const contenders = runtimes.map((runtime): Contender => {
    return {
      name: `${runtime.name} run -d`,
      sample: async () => {
        const ids = runtime.prepareSleepers(count);
        const rate = await perSecond((number) => runtime.startSleeper(ids[number] ?? ''));
        await inFlight(count, 8, (number) => runtime.remove(ids[number] ?? ''));
        return [rate];
      },
    };
  });
  if (own !== undefined) {
    contenders.push({
      name: 'mydocker API',
      sample: async () => {
        const ids: string[] = [];
        const rate = await perSecond(async () => ids.push(await own.startDetached(['sleep', '100000'])));
        await inFlight(ids.length, 8, (number) => own.remove(ids[number] ?? ''));
        return [rate];
      },
    });
  }
  const results = await measure(contenders, effort(field, 5, 1, 1));
  return {
    id: 'throughput',
    title: `${count} detached starts, 8 in flight`,
    what: 'Each container runs `sleep`. A sample is the rate of one whole batch; removal is not measured.',
    unit: 'starts/s',
    moreIsBetter: true,
    results,
    promises: ratio(results, ['mydocker API', 'crun run -d'], 'mydocker API ÷ crun', 0.6, 'at least'),
  };
}

/** The log, as fast as a process can write. */
export async function measureLog(field: Field): Promise<Line> {
  const { ground, own, peers } = field;
  const megabytes = Math.max(10, Math.round(200 * field.scale));
  const bytes = megabytes * 1_000_000;
  const command = ['lines', String(bytes)];
  const contenders: Contender[] = [];
  if (peers.some(({ name }) => name === 'podman')) {
    contenders.push({
      name: 'podman',
      sample: async () => {
        const ms = await timeEach(1, () => podmanLog(ground, command));
        await podmanForget(ground);
        return ms;
      },
    });
  }
  if (own !== undefined) contenders.push(...ownLog(own, command, bytes));
  contenders.push(each('to /dev/null', () => quiet(join(PROJECT, 'build/test/lines'), command.slice(1))));
  const results = await measure(contenders, effort(field, 5, 1, 1));
  return {
    id: 'log',
    title: `${megabytes} MB of log lines`,
    what:
      'A detached container writes lines of 100 bytes, 40 to a write; both logs have a time stamp on each line. ' +
      'Measured from its start to its end. Of ours every line is read back and checked. `slow logs -f`: a client ' +
      'follows meanwhile and pauses 20 ms after each piece. `to /dev/null` is the writer alone.',
    unit: 'ms',
    moreIsBetter: false,
    results,
    promises: [
      ...ratio(results, ['mydocker API', 'podman'], 'mydocker API ÷ podman', 0.5),
      ...ratio(results, ['mydocker API, slow logs -f', 'podman'], 'with a slow reader ÷ podman', 0.5),
    ],
  };
}

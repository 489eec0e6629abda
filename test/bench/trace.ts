/**
 * Where a start spends its time, step by step: a server of its own that prints when it passes each of its named
 * points (server/failpoint.ts), so that no clock is read in the servers that are measured.
 */
import { readFileSync } from 'node:fs';
import { FAILPOINTS, type FailpointName } from '../../server/failpoint.ts';
import type { Field } from './lines.ts';
import type { Result } from './measure.ts';
import { type Own, startOwn } from './own.ts';
import { summarize } from './stats.ts';

type Step = readonly [from: FailpointName, to: FailpointName, what: string];

/** Of a container's whole life, in the order in which they are passed; some overlap, as they do in the server. */
export const LIFE: readonly Step[] = [
  ['create.begin', 'create.done', 'create: decide, make the folder, record'],
  ['start.begin', 'start.launch', 'start: decide everything, make the plan'],
  ['start.launch', 'start.put-starting', 'start: the intent on the disk, the shim works meanwhile'],
  ['start.put-starting', 'start.created', 'start: the rest of clone3, groups, mounts, pivot_root'],
  ['start.created', 'start.started', 'start: the gate, exec'],
  ['start.started', 'exit.seen', 'run: the process runs, ends and is reaped; its groups go'],
  ['exit.seen', 'exit.put', 'end: the exit on the disk'],
  ['exit.put', 'exit.cleanup', 'end: the folder of the run goes'],
  ['delete.begin', 'delete.done', 'remove: the record goes, on the disk'],
];

/** Of the one call that starts. */
export const START: readonly Step[] = [
  ['start.begin', 'start.plan', 'start: decide everything'],
  ['start.plan', 'start.launch', 'start: what must be there on the host'],
  ['start.launch', 'start.launched', 'start: the plan to the shim, the intent to the database'],
  ['start.launched', 'start.created', 'start: the intent on the disk; clone3, mounts, pivot_root'],
  ['start.created', 'start.started', 'start: the gate, exec'],
  ['start.started', 'start.put-running', 'start: the record, which nobody waits for'],
];

const POINTS = FAILPOINTS.filter((name) => /^(?:create|start|exit|delete)\./.test(name));

/**
 * Runs containers to their end and gives the time of each step, in ms.
 * @param name - of the server.
 * @param once - one container's whole life.
 */
export async function traceSteps(
  { ground, scale }: Field,
  name: string,
  steps: readonly Step[],
  once: (own: Own) => Promise<unknown>,
): Promise<Result[]> {
  const failpoints = POINTS.map((name) => `${name}=print`).join(';');
  const own = await startOwn(ground, name, { MYDOCKER_FAILPOINTS: failpoints });
  const warmUp = 10;
  for (let number = 0; number < 200 * scale + warmUp; number += 1) await once(own);
  await own.stop();
  const cycles = parseTrace(readFileSync(own.daemon.log, 'utf8')).slice(warmUp);
  return steps.map(([from, to, what]) => {
    const times = cycles.flatMap((cycle) => {
      const [begin, end] = [cycle.get(from), cycle.get(to)];
      return begin === undefined || end === undefined ? [] : [Math.max(0, end - begin) / 1000];
    });
    return { name: what, ...summarize(times) };
  });
}

/** @returns for each container the points that it passed, in microseconds. */
export function parseTrace(log: string): Map<string, number>[] {
  const cycles: Map<string, number>[] = [];
  for (const [, name = '', at = ''] of log.matchAll(/^failpoint (\S+) at (\d+)$/gm)) {
    if (name === 'create.begin') cycles.push(new Map());
    cycles.at(-1)?.set(name, Number(at));
  }
  return cycles;
}

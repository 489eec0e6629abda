/** Lines about the one call that starts a container: with a launcher that waits for it, and with limits. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ContainerConfig, NetworkMode } from '../../proto/gen/mydocker/v1/config.ts';
import type { Line } from './document.ts';
import { effort, type Field, floor, resultOf } from './lines.ts';
import { type Contender, measure } from './measure.ts';
import { type Own, startOwn } from './own.ts';
import { START, traceSteps } from './trace.ts';

/** Longer than the server waits before it makes the next launcher, and than that takes. */
const PAUSE_MS = 100;
const MOST_EXTRA_MS = 1;

/** Eight files of control groups and two of the process's own, such as every cgroup version has. */
const TEN_LIMITS: Partial<ContainerConfig> = {
  resources: {
    memoryLimitBytes: 256n << 20n,
    memoryReservationBytes: 128n << 20n,
    cpuShares: 512,
    cpuPeriodUs: 50_000,
    cpuQuotaUs: 50_000n,
    cpusetCpus: '0',
    cpusetMems: '0',
    pidsMax: 100n,
  } as ContainerConfig['resources'],
  ulimits: [
    { name: 'nofile', soft: 1024n, hard: 2048n },
    { name: 'core', soft: 0n, hard: 0n },
  ],
};

interface Times {
  readonly create: number;
  readonly start: number;
}

/** One container to its end, and a pause in which the server does what it does for the next one. */
async function startOnce({ api }: Own, more: Partial<ContainerConfig> = {}): Promise<Times> {
  const began = performance.now();
  const { id: container } = await api.containers.createContainer({
    config: {
      rootfs: { $case: 'image', value: 'bench' },
      command: { values: ['true'] },
      network: { mode: NetworkMode.NONE },
      ...more,
    },
  });
  const created = performance.now();
  const { run } = await api.tasks.startTask({ container });
  const started = performance.now();
  await api.tasks.waitTask({ container, runId: run?.runId ?? '' });
  await api.containers.removeContainer({ container });
  await sleep(PAUSE_MS);
  return { create: created - began, start: started - created };
}

const contender = (
  name: string,
  own: Own,
  of: (times: Times) => number,
  more?: Partial<ContainerConfig>,
): Contender => ({
  name,
  sample: async (count) => {
    const samples: number[] = [];
    for (let number = 0; number < count; number += 1) samples.push(of(await startOnce(own, more)));
    return samples;
  },
});

/** What a call takes that does nothing, behind the same pause. */
const emptyCall = ({ api }: Own): Contender => ({
  name: 'an empty call',
  sample: async (count) => {
    const samples: number[] = [];
    for (let number = 0; number < count; number += 1) {
      await sleep(PAUSE_MS);
      const began = performance.now();
      await api.system.ping({});
      samples.push(performance.now() - began);
    }
    return samples;
  },
});

/** The call that starts, beside the whole life of the floor's container. */
export async function measureReady(field: Field): Promise<Line> {
  const { ground, own } = field;
  const contenders = [floor(ground)];
  let without: Own | undefined;
  if (own !== undefined) {
    const file = join(ground.folder, 'no-launchers.json');
    writeFileSync(file, '{"launchers":0}');
    without = await startOwn(ground, 'unprepared', {}, ['--config', file]);
    contenders.push(
      contender('start, a launcher waits', own, ({ start }) => start),
      contender('start, none waits', without, ({ start }) => start),
    );
  }
  const results = await measure(contenders, effort(field, 10, 10, 5));
  await without?.stop();
  const parts =
    own === undefined
      ? {}
      : {
          parts: [
            ...(await measure([emptyCall(own)], effort(field, 10, 10, 5))),
            ...(await traceSteps(field, 'traced-start', START, startOnce)),
          ],
        };
  const ours = resultOf(results, 'start, a launcher waits');
  const least = resultOf(results, 'floor');
  return {
    id: 'ready',
    title: 'Start a container without network',
    what:
      'The one call that starts, on an open connection, with a pause before each: answered when the program runs. The ' +
      'floor is the whole of the line above, from its control groups to their removal.',
    unit: 'ms',
    moreIsBetter: false,
    results,
    ...parts,
    why:
      'What dominates: a request and an answer of gRPC, each of which wakes two programs out of a pause, as much as an ' +
      'empty call takes here; the JavaScript that decides and writes the plan; then the kernel, for mounts above all. ' +
      'The floor does not pause, speaks with nobody and decides nothing. What was tried, and stayed: what holds a ' +
      'container is ready before its program is; the gate opens before anybody is told; the answer does not wait for ' +
      'its record. What would be next: /dev and the view of the control groups made ahead, 0.3 ms of the kernel’s part.',
    promises:
      ours === undefined || least === undefined
        ? []
        : [
            { text: 'start ÷ floor', measured: ours.median / least.median, limit: 1, sense: 'at most' },
            { text: 'the same at p90', measured: ours.p90 / least.p90, limit: 1, sense: 'at most' },
          ],
  };
}

/** What ten limits cost from create to a program that runs. */
export async function measureLimits(field: Field): Promise<Line> {
  const { own } = field;
  const both = ({ create, start }: Times): number => create + start;
  const results =
    own === undefined
      ? []
      : await measure(
          [contender('without limits', own, both), contender('with ten limits', own, both, TEN_LIMITS)],
          effort(field, 10, 10, 5),
        );
  const none = resultOf(results, 'without limits');
  const ten = resultOf(results, 'with ten limits');
  return {
    id: 'limits',
    title: 'Create and start a container with ten limits',
    what:
      'Two calls on an open connection, without network: memory, its reservation, CPU shares, period, quota, processors, ' +
      'memory nodes, processes, open files and core size.',
    unit: 'ms',
    moreIsBetter: false,
    results,
    promises:
      none === undefined || ten === undefined
        ? []
        : [
            {
              text: 'ten limits − none, ms',
              measured: ten.median - none.median,
              limit: MOST_EXTRA_MS,
              sense: 'at most',
            },
          ],
  };
}

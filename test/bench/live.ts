/** Lines about several networks: what a second one costs a start, and entering one while running; beside few and many. */
import type { Line } from './document.ts';
import { effort, type Field, resultOf } from './lines.ts';
import { type Contender, inFlight, measure, type Result, timeEach } from './measure.ts';
import type { Own } from './own.ts';

const MOST_SECOND_MS = 3;
const MOST_CONNECT_MS = 15;
/** How many containers stand in the networks at first, and in the end; and how much slower things may be then. */
const FEW = 10;
const MANY = 500;
const MOST_GROWTH = 1.2;
const LANES = 8;
const NAMES = ['bench-one', 'bench-two'] as const;
const [ONE, TWO] = NAMES;

async function create(own: Own, networks: readonly string[], command: readonly string[]): Promise<string> {
  const { id } = await own.api.containers.createContainer({
    config: {
      rootfs: { $case: 'image', value: 'bench' },
      command: { values: [...command] },
      network: { attachments: networks.map((network) => ({ network })) },
    },
  });
  return id;
}

async function runToEnd(own: Own, networks: readonly string[]): Promise<void> {
  const container = await create(own, networks, ['true']);
  const { run } = await own.api.tasks.startTask({ container });
  await own.api.tasks.waitTask({ container, runId: run?.runId ?? '' });
  await own.api.containers.removeContainer({ container });
}

/** Only the way in is measured. */
async function connects(own: Own, container: string, count: number): Promise<number[]> {
  const samples: number[] = [];
  for (let number = 0; number < count; number += 1) {
    samples.push(
      ...(await timeEach(1, () =>
        own.api.networks.connectNetwork({ container, attachment: { network: TWO } }),
      )),
    );
    await own.api.networks.disconnectNetwork({ container, network: TWO });
  }
  return samples;
}

/** Starts containers that do nothing, in both networks in turns, until there are so many. */
async function crowd(own: Own, ids: string[], wanted: number): Promise<void> {
  await inFlight(wanted - ids.length, LANES, async (number) => {
    const id = await create(own, [NAMES[number % 2] ?? ONE], ['sleep', '100000']);
    ids.push(id);
    await own.api.tasks.startTask({ container: id });
  });
}

const named = (what: string, beside: number): string => `${what}, beside ${beside}`;

/** A second network, a live connect, and both again when many others stand there. */
export async function measureNetworks(field: Field): Promise<Line> {
  const { own } = field;
  const many = Math.max(2 * FEW, Math.round(MANY * Math.min(1, field.scale)));
  const results: Result[] = [];
  if (own !== undefined) {
    for (const [number, name] of NAMES.entries())
      await own.api.networks.createNetwork({ name, subnets: [{ cidr: `10.${96 + number}.0.0/16` }] });
    const ids: string[] = [];
    try {
      for (const beside of [FEW, many]) {
        await crowd(own, ids, beside);
        const [container = ''] = ids;
        const each = (what: string, networks: readonly string[]): Contender => ({
          name: named(what, beside),
          sample: (count) => timeEach(count, () => runToEnd(own, networks)),
        });
        const connect: Contender = {
          name: named('connect', beside),
          sample: (count) => connects(own, container, count),
        };
        const all = [each('start in one', [ONE]), each('start in two', [ONE, TWO]), connect];
        results.push(...(await measure(all, effort(field, 6, 10, 3))));
      }
    } finally {
      await inFlight(ids.length, LANES, (number) => own.remove(ids[number] ?? ''));
      for (const network of NAMES) await own.api.networks.removeNetwork({ network });
    }
  }
  const median = (what: string, beside: number): number | undefined =>
    resultOf(results, named(what, beside))?.median;
  const [one, two, connect] = ['start in one', 'start in two', 'connect'].map((what) => median(what, FEW));
  const [oneThen, , connectThen] = ['start in one', 'start in two', 'connect'].map((what) =>
    median(what, many),
  );
  const promise = (text: string, measured: number, limit: number): Line['promises'][number] => ({
    ...{ text, measured, limit },
    sense: 'at most',
  });
  return {
    id: 'networks',
    title: 'Several networks, and many containers in them',
    what:
      'A start is create, start, wait and remove on an open connection; connect is one call for a container that runs. ' +
      'The others run `sleep` in the same two networks.',
    unit: 'ms',
    moreIsBetter: false,
    results,
    promises:
      one === undefined ||
      two === undefined ||
      connect === undefined ||
      oneThen === undefined ||
      connectThen === undefined
        ? []
        : [
            promise('a second network − one, ms', two - one, MOST_SECOND_MS),
            promise('connect, ms', connect, MOST_CONNECT_MS),
            promise(`start beside ${many} ÷ beside ${FEW}`, oneThen / one, MOST_GROWTH),
            promise(`connect beside ${many} ÷ beside ${FEW}`, connectThen / connect, MOST_GROWTH),
          ],
  };
}

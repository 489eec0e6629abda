/** Lines about published ports: what one costs a start, beside none and beside many, and how fast packets go through. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitCode } from '../harness/cli.ts';
import type { Line } from './document.ts';
import { effort, type Field, resultOf } from './lines.ts';
import { type Contender, measure, type Result, timeEach } from './measure.ts';
import { bareBridge, inside, ownBridgesAlone, PORT, stream } from './network.ts';

const MOST_EXTRA_MS = 2;
/** Beside how many other ports it is measured again. */
const MANY = 500;
const HOST_PORT = 28_080;
const PUBLISHED = 28_201;
const FIRST_OF_MANY = 30_000;

/** The same four calls with and without a port, in turns; then beside many ports that others have. */
export async function measurePublishCost(field: Field): Promise<Line> {
  const { own } = field;
  const names = ['default network', 'and one published port', `and one beside ${MANY} others`] as const;
  const port = [{ hostPort: HOST_PORT, containerPort: 80 }];
  const results: Result[] = [];
  if (own !== undefined) {
    const [without, one, beside] = names;
    const sample = (name: string, ports: typeof port): Contender => ({
      name,
      sample: (count) => timeEach(count, () => own.runToEnd(['true'], true, ports)),
    });
    const turns = effort(field, 10, 20, 5);
    results.push(...(await measure([sample(without, []), sample(one, port)], turns)));
    const many = await own.standInNetwork([{ hostPort: FIRST_OF_MANY, containerPort: 1, count: MANY }]);
    results.push(...(await measure([sample(beside, port)], turns)));
    await own.remove(many.id);
  }
  const [without, one, beside] = names.map((name) => resultOf(results, name)?.median);
  return {
    id: 'publish',
    title: 'Create, start, wait and remove a container with a published port',
    what:
      'Four calls on an open connection. A start takes the port with a socket of the server’s and adds an element to a map ' +
      'of the kernel’s, while the shim works.',
    unit: 'ms',
    moreIsBetter: false,
    results,
    promises:
      without === undefined || one === undefined || beside === undefined
        ? []
        : [
            {
              text: 'one port − none, ms',
              measured: one - without,
              limit: MOST_EXTRA_MS,
              sense: 'at most',
            },
            {
              text: `one beside ${MANY} − none, ms`,
              measured: beside - without,
              limit: MOST_EXTRA_MS,
              sense: 'at most',
            },
          ],
  };
}

/** Another host, joined to this one by a pair of interfaces. */
async function nextDoor(): Promise<{
  readonly pid: number;
  readonly address: string;
  stop(): Promise<void>;
}> {
  const own = readlinkSync('/proc/self/ns/net');
  const child: ChildProcess = spawn('unshare', ['--net', 'sleep', '100000'], { stdio: 'ignore' });
  const pid = child.pid ?? 0;
  while (readlinkSync(`/proc/${pid}/ns/net`) === own) await sleep(5);
  const ip = (...args: string[]): void => void execFileSync('ip', args);
  ip('link', 'add', 'bench-lan', 'up', 'type', 'veth', 'peer', 'name', 'up0', 'netns', String(pid));
  ip('addr', 'add', '203.0.113.2/24', 'dev', 'bench-lan');
  execFileSync('nsenter', inside(pid, 'ip', 'addr', 'add', '203.0.113.3/24', 'dev', 'up0'));
  execFileSync('nsenter', inside(pid, 'ip', 'link', 'set', 'up0', 'up'));
  return {
    pid,
    address: '203.0.113.2',
    stop: async () => {
      child.kill('SIGKILL');
      await exitCode(child);
    },
  };
}

/** How fast another host sends to a container through a published port. */
export async function measurePublishBandwidth(field: Field): Promise<Line> {
  const { own } = field;
  const [bare, through] = [
    'two namespaces on a bare bridge',
    'another host, through a published port',
  ] as const;
  const contenders: Contender[] = [];
  const undo: (() => Promise<void>)[] = [];
  const seconds = Math.max(1, Math.round(3 * field.scale));
  if (existsSync('/usr/bin/iperf3')) {
    ownBridgesAlone();
    const { ends, stop } = await bareBridge();
    undo.push(stop);
    contenders.push({
      name: bare,
      sample: async () => [await stream(ends[0], ends[1], '10.77.0.2', seconds)],
    });
    if (own !== undefined) {
      const neighbour = await nextDoor();
      undo.push(() => neighbour.stop());
      const { id, pid } = await own.standInNetwork([{ hostPort: PUBLISHED, containerPort: PORT }]);
      undo.push(() => own.remove(id));
      contenders.push({
        name: through,
        sample: async () => [await stream(neighbour.pid, pid, neighbour.address, seconds, PUBLISHED)],
      });
    }
  }
  const results = await (contenders.length === 0
    ? Promise.resolve([])
    : measure(contenders, effort(field, 7, 1, 1))
  ).finally(async () => {
    for (const step of undo) await step();
  });
  const [most, ours] = [resultOf(results, bare), resultOf(results, through)];
  return {
    id: 'publish-bandwidth',
    title: 'One TCP stream from another host through a published port',
    what: 'iperf3 from a namespace that is joined to the host by a pair of interfaces; the host routes and translates.',
    unit: 'Gbit/s',
    moreIsBetter: true,
    results,
    promises:
      most === undefined || ours === undefined
        ? []
        : [
            {
              text: 'through a port ÷ bare bridge',
              measured: ours.median / most.median,
              limit: 0.95,
              sense: 'at least',
            },
          ],
  };
}

/** Lines about the default network: what it costs a start, how many a second, and how fast packets go. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitCode } from '../harness/cli.ts';
import type { Line } from './document.ts';
import { effort, type Field, resultOf } from './lines.ts';
import { type Contender, type Effort, inFlight, measure, timeEach } from './measure.ts';

/** Rates of docker and podman on the reference machine are a tenth of it. */
const STARTS_PER_SECOND = 80;
const MOST_EXTRA_MS = 3;
/** iperf3's. */
export const PORT = 5201;

/** The same four calls with and without a network, in turns. */
export async function measureNetworkCost(field: Field): Promise<Line> {
  const { own } = field;
  const none = 'mydocker API, --network none';
  const inNetwork = 'mydocker API, default network';
  const results =
    own === undefined
      ? []
      : await measure(
          [
            { name: none, sample: (count) => timeEach(count, () => own.runToEnd(['true'])) },
            { name: inNetwork, sample: (count) => timeEach(count, () => own.runToEnd(['true'], true)) },
          ],
          effort(field, 10, 20, 5),
        );
  const [without, within] = [resultOf(results, none), resultOf(results, inNetwork)];
  return {
    id: 'network',
    title: 'Create, start, wait and remove a container in the default network',
    what:
      'Four calls on an open connection. In the network a start makes a pair of interfaces, address and routes; the ' +
      'kernel takes them away behind.',
    unit: 'ms',
    moreIsBetter: false,
    results,
    promises:
      without === undefined || within === undefined
        ? []
        : [
            {
              text: 'the default network − none, ms',
              measured: within.median - without.median,
              limit: MOST_EXTRA_MS,
              sense: 'at most',
            },
          ],
  };
}

/** Starts a second in the default network of everybody who has one. */
export async function measureNetworkThroughput(field: Field): Promise<Line> {
  const { own, peers } = field;
  const rate = (count: number, ms = 1): number => (count / ms) * 1000;
  const contenders = peers.flatMap((peer): Contender[] => {
    const { startInNetwork, forget } = peer;
    if (startInNetwork === undefined || forget === undefined) return [];
    // They take a tenth of a second for each.
    const count = Math.max(8, Math.round(24 * field.scale));
    return [
      {
        name: `${peer.name} run -d`,
        sample: async () => {
          const names = Array.from({ length: count }, (_, number) => `bench-net-${number}`);
          const [ms] = await timeEach(1, () =>
            inFlight(count, 8, (number) => startInNetwork(names[number] ?? '')),
          );
          await forget(names);
          return [rate(count, ms)];
        },
      },
    ];
  });
  const count = Math.max(8, Math.round(100 * field.scale));
  if (own !== undefined)
    contenders.push({
      name: 'mydocker API',
      sample: async () => {
        const ids: string[] = [];
        const [ms] = await timeEach(1, () =>
          inFlight(count, 8, async () => ids.push(await own.startDetached(['sleep', '100000'], true))),
        );
        await inFlight(ids.length, 8, (number) => own.remove(ids[number] ?? ''));
        return [rate(count, ms)];
      },
    });
  const results = await measure(contenders, effort(field, 5, 1, 1));
  const ours = resultOf(results, 'mydocker API');
  return {
    id: 'network-throughput',
    title: 'Detached starts in the default network, 8 in flight',
    what: `Each container runs \`sleep\`; ${count} of ours in a batch, fewer of the others. Removal is not measured.`,
    unit: 'starts/s',
    moreIsBetter: true,
    results,
    promises:
      ours === undefined
        ? []
        : [{ text: 'starts a second', measured: ours.median, limit: STARTS_PER_SECOND, sense: 'at least' }],
  };
}

export const inside = (pid: number, ...command: string[]): string[] => [
  '--target',
  String(pid),
  '--net',
  ...command,
];

/**
 * Gbit/s of one TCP stream from one namespace to another.
 * @param port - that the client asks; the server listens on the usual one.
 */
export async function stream(
  from: number,
  to: number,
  address: string,
  seconds: number,
  port: number = PORT,
): Promise<number> {
  const server = spawn('nsenter', inside(to, 'iperf3', '--server', '--one-off', '--port', String(PORT)), {
    stdio: 'ignore',
  });
  const listening = (): boolean =>
    spawnSync('nsenter', inside(to, 'ss', '-Hltn', `sport = :${PORT}`), { encoding: 'utf8' }).stdout !== '';
  while (!listening()) await sleep(20);
  const client = ['iperf3', '--client', address, '--port', String(port), '--json', '--time', String(seconds)];
  const { status, stdout } = spawnSync('nsenter', inside(from, ...client), {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
    timeout: (seconds + 10) * 1000,
  });
  if (status !== 0) server.kill();
  await exitCode(server);
  if (status !== 0) throw new Error(`iperf3 cannot reach ${address}: ${stdout.slice(0, 500)}`);
  const { end } = JSON.parse(stdout) as { end: { sum_received: { bits_per_second: number } } };
  return end.sum_received.bits_per_second / 1e9;
}

/** A bridge with two namespaces and nothing else. */
export interface Bare {
  readonly ends: readonly [number, number];
  stop(): Promise<void>;
}

export async function bareBridge(): Promise<Bare> {
  const own = readlinkSync('/proc/self/ns/net');
  const children: ChildProcess[] = [];
  const place = async (): Promise<number> => {
    const child = spawn('unshare', ['--net', 'sleep', '100000'], { stdio: 'ignore' });
    children.push(child);
    const pid = child.pid ?? 0;
    while (readlinkSync(`/proc/${pid}/ns/net`) === own) await sleep(5);
    return pid;
  };
  const [middle, one, two] = [await place(), await place(), await place()];
  const ip = (pid: number, ...args: string[]): void =>
    void execFileSync('nsenter', inside(pid, 'ip', ...args));
  ip(middle, 'link', 'add', 'bare0', 'up', 'type', 'bridge');
  for (const [number, pid] of [one, two].entries()) {
    const name = `port${number}`;
    ip(
      middle,
      'link',
      'add',
      name,
      'up',
      'master',
      'bare0',
      'type',
      'veth',
      'peer',
      'eth0',
      'netns',
      String(pid),
    );
    ip(pid, 'addr', 'add', `10.77.0.${number + 1}/24`, 'dev', 'eth0');
    ip(pid, 'link', 'set', 'eth0', 'up');
  }
  return {
    ends: [one, two],
    stop: async () => {
      for (const child of children) {
        child.kill('SIGKILL');
        await exitCode(child);
      }
    },
  };
}

/**
 * Docker, which stands in this namespace too, drops what is forwarded and not its own, and with br_netfilter what is
 * bridged as well. After this both are forwarded as on a machine that has no Docker.
 */
export function ownBridgesAlone(): void {
  const file = '/proc/sys/net/bridge/bridge-nf-call-iptables';
  if (existsSync(file)) writeFileSync(file, '0');
  if (existsSync('/usr/sbin/iptables')) execFileSync('iptables', ['--policy', 'FORWARD', 'ACCEPT']);
}

/** How fast one container sends to another. */
export async function measureNetworkBandwidth(field: Field): Promise<Line> {
  const { own } = field;
  const contenders: Contender[] = [];
  const undo: (() => Promise<void>)[] = [];
  const seconds = Math.max(1, Math.round(3 * field.scale));
  if (existsSync('/usr/bin/iperf3')) {
    ownBridgesAlone();
    const bare = await bareBridge();
    undo.push(() => bare.stop());
    const [one, two] = bare.ends;
    contenders.push({
      name: 'two namespaces on a bare bridge',
      sample: async () => [await stream(one, two, '10.77.0.2', seconds)],
    });
    if (own !== undefined) {
      const ends = [await own.standInNetwork(), await own.standInNetwork()] as const;
      undo.push(async () => {
        for (const { id } of ends) await own.remove(id);
      });
      contenders.push({
        name: 'two containers',
        sample: async () => [await stream(ends[0].pid, ends[1].pid, ends[1].address, seconds)],
      });
    }
  }
  const turns: Effort = effort(field, 7, 1, 1);
  const results = await (contenders.length === 0 ? Promise.resolve([]) : measure(contenders, turns)).finally(
    async () => {
      for (const step of undo) await step();
    },
  );
  const [bare, ours] = [
    resultOf(results, 'two namespaces on a bare bridge'),
    resultOf(results, 'two containers'),
  ];
  return {
    id: 'network-bandwidth',
    title: 'One TCP stream from container to container',
    what: 'iperf3 in the network namespaces of two containers, and in two others that share a bridge and nothing else.',
    unit: 'Gbit/s',
    moreIsBetter: true,
    results,
    promises:
      bare === undefined || ours === undefined
        ? []
        : [
            {
              text: 'two containers ÷ bare bridge',
              measured: ours.median / bare.median,
              limit: 0.95,
              sense: 'at least',
            },
          ],
  };
}

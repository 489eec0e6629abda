/**
 * `npm run bench`: measures every line beside its floor and its peers, writes build/bench.json, docs/benchmarks.md and
 * docs/benchmarks.svg. Exit code 1 when a promise is not kept.
 *
 *   npm run bench                          everything, some ten minutes on a quiet machine
 *   npm run bench -- start exec            these lines only; the documents are left alone
 *   npm run bench -- --scale 0.1           a tenth of the effort, to see that it works; likewise
 *   npm run bench -- --without mydocker    the floor and the peers alone; likewise
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PROJECT } from '../harness/cli.ts';
import { isKept, type Line, type Report, renderDocument, renderPicture, short } from './document.ts';
import { type Ground, prepareGround } from './ground.ts';
import { watchLeftovers } from './leftovers.ts';
import { type Field, measureExec, measureLog, measureRun, measureStart, measureThroughput } from './lines.ts';
import { measureNetworks } from './live.ts';
import { measureLoad } from './load.ts';
import { measureNetworkBandwidth, measureNetworkCost, measureNetworkThroughput } from './network.ts';
import { type Own, startOwn } from './own.ts';
import { type Peer, startContainerd, startDocker, startPodman } from './peers.ts';
import { measurePublishBandwidth, measurePublishCost } from './publish.ts';
import { measurePull, measurePush } from './registry.ts';
import { prepareRuntime, type Runtime } from './runtimes.ts';
import { describeMachine, measureIdle, measureList, measurePs, measureStats } from './standing.ts';
import { measureLimits, measureReady } from './starts.ts';
import { measureKeystrokes, measureStreams } from './streams.ts';

/** In the order of the document. */
const LINES: Readonly<Record<string, (field: Field) => Promise<Line>>> = {
  start: measureStart,
  ready: measureReady,
  limits: measureLimits,
  run: measureRun,
  exec: measureExec,
  throughput: measureThroughput,
  network: measureNetworkCost,
  'network-throughput': measureNetworkThroughput,
  'network-bandwidth': measureNetworkBandwidth,
  networks: measureNetworks,
  publish: measurePublishCost,
  'publish-bandwidth': measurePublishBandwidth,
  idle: measureIdle,
  list: measureList,
  stats: measureStats,
  ps: measurePs,
  log: measureLog,
  keystroke: measureKeystrokes,
  streams: measureStreams,
  load: measureLoad,
  pull: measurePull,
  push: measurePush,
};

interface Wanted {
  readonly lines: readonly string[];
  readonly without: readonly string[];
  readonly scale: number;
  readonly whole: boolean;
}

function readArguments(): Wanted {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      scale: { type: 'string', default: '1' },
      without: { type: 'string', multiple: true, default: [] },
    },
  });
  for (const name of positionals) {
    if (LINES[name] === undefined)
      throw new Error(`no line ${name}: there are ${Object.keys(LINES).join(', ')}`);
  }
  const scale = Number(values.scale);
  return {
    lines: positionals.length === 0 ? Object.keys(LINES) : positionals,
    without: values.without,
    scale,
    whole: positionals.length === 0 && values.without.length === 0 && scale === 1,
  };
}

/** Starts who takes part; `without` leaves somebody out. */
async function assemble(ground: Ground, { without, scale, lines }: Wanted): Promise<Field> {
  const takesPart = (name: string): boolean => !without.includes(name);
  const peers: Peer[] = [];
  // Only where a line has them: each costs a second or two to start, and memory while it stands.
  const has = (...names: string[]): boolean => names.some((name) => lines.includes(name));
  if (has('run', 'load', 'pull', 'push', 'network-throughput', 'keystroke', 'streams') && takesPart('docker'))
    peers.push(await startDocker(ground));
  if (has('run', 'load', 'pull', 'push') && takesPart('docker') && takesPart('ctr'))
    peers.push(await startContainerd(ground));
  if (has('run', 'load', 'pull', 'push', 'log', 'network-throughput', 'streams') && takesPart('podman'))
    peers.push(await startPodman(ground));
  const runtimes: Runtime[] = (['runc', 'crun'] as const)
    .filter(takesPart)
    .map((name) => prepareRuntime(ground, name));
  const own: Own | undefined = takesPart('mydocker') ? await startOwn(ground) : undefined;
  return { ground, own, peers, runtimes, scale, watch: watchLeftovers(ground, own?.daemon.pid) };
}

function print(line: Line): void {
  console.log(`\n${line.title} (${line.unit})`);
  for (const { name, median, p90, mad, count } of line.results) {
    const numbers = [median, p90, mad].map((value) => short(value).padStart(9)).join('');
    console.log(`  ${name.padEnd(26)}${numbers}   n=${count}`);
  }
  for (const promised of line.promises) {
    const verdict = isKept(promised) ? 'kept' : 'NOT KEPT';
    console.log(
      `  ${promised.text}: ${short(promised.measured)}, ${promised.sense} ${promised.limit}: ${verdict}`,
    );
  }
}

async function measureAll(field: Field, wanted: Wanted, machine: Report['machine']): Promise<Report> {
  const lines: Line[] = [];
  console.log(`${''.padEnd(28)}${'median      p90      MAD'}`);
  for (const name of wanted.lines) {
    const line = await LINES[name]?.(field);
    if (line === undefined) continue;
    print(line);
    lines.push(line);
  }
  const versions = [...field.peers, ...field.runtimes].map(({ name, version }) => [name, version]);
  return {
    measuredAt: new Date().toISOString().slice(0, 10),
    machine: { ...machine, 'control groups': field.ground.cgroups },
    versions: { Node: process.version, ...Object.fromEntries(versions) },
    lines,
  };
}

async function main(): Promise<void> {
  const wanted = readArguments();
  const machine = describeMachine();
  const ground = await prepareGround();
  try {
    const field = await assemble(ground, wanted);
    const report = await measureAll(field, wanted, machine);
    for (const participant of [...field.peers, ...(field.own === undefined ? [] : [field.own])]) {
      await participant.stop();
    }
    mkdirSync(join(PROJECT, 'build'), { recursive: true });
    writeFileSync(join(PROJECT, 'build/bench.json'), `${JSON.stringify(report, null, 2)}\n`);
    if (wanted.whole) {
      writeFileSync(join(PROJECT, 'docs/benchmarks.md'), renderDocument(report));
      writeFileSync(join(PROJECT, 'docs/benchmarks.svg'), renderPicture(report));
    }
    process.exitCode = report.lines.every(({ promises }) => promises.every(isKept)) ? 0 : 1;
  } catch (error) {
    // Said before the clearing, which may fail because of it.
    console.error(error);
    process.exitCode = 1;
  }
  await ground.clear();
}

await main();

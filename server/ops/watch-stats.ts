/**
 * What containers use, in rounds: nothing is kept between two watchers, and a round reads counters of the kernel and
 * asks nobody.
 */
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { type UsageReader, usageReader } from '../cgroup/usage.ts';
import type { ContainerRecord } from '../model/container.ts';
import { invalidArgument } from '../model/error.ts';
import { isAlive } from '../model/task-state.ts';
import { nowNs } from '../model/time.ts';
import type { CgroupUsage } from '../model/usage.ts';
import { type InterfaceTraffic, interfaceTraffic } from '../task/interface-traffic.ts';
import { hostCpus, parseCpuList } from './check-resources.ts';
import type { Engine } from './engine.ts';
import { findContainer } from './find-container.ts';

export interface StatsRequest {
  /** Ids, names or unique prefixes; none: all that run, also those that start later. */
  readonly containers: readonly string[];
  /** Time between the begins of two rounds; 0: the usual. */
  readonly intervalMs: number;
  readonly once: boolean;
  readonly abort: AbortSignal;
}

/** What one container uses. */
export interface TaskUsage {
  readonly record: ContainerRecord;
  /** ns since epoch. */
  readonly readAt: bigint;
  readonly usage: CgroupUsage;
  /** Of one CPU, since the round before; 0 in the first. */
  readonly cpuPercent: number;
  readonly onlineCpus: number;
  readonly interfaces: readonly InterfaceTraffic[];
}

const USUAL_INTERVAL_MS = 1000;
const MIN_INTERVAL_MS = 100;
/** Containers that are read before others have their turn. */
const AT_ONCE = 25;

/** What the round before saw, by run. */
interface Before {
  readonly cpuNs: number;
  readonly atNs: bigint;
}

/**
 * @returns a list for each round, of those that run.
 * @throws MydockerError `not-found` for a container that is named and not there; `invalid-argument`.
 */
export async function* watchStats(
  engine: Engine,
  request: StatsRequest,
): AsyncGenerator<readonly TaskUsage[], undefined> {
  const { intervalMs, once, abort } = request;
  if (intervalMs !== 0 && intervalMs < MIN_INTERVAL_MS)
    throw invalidArgument(`invalid interval ${intervalMs} ms: it is below ${MIN_INTERVAL_MS}`, {
      reason: 'INTERVAL_INVALID',
    });
  const ids = request.containers.map((text) => findContainer(engine, text).id);
  const reader = usageReader(engine.cgroups.layout);
  let before: ReadonlyMap<string, Before> = new Map();
  for (;;) {
    const begin = performance.now();
    const round = await readRound(engine, reader, ids, before);
    before = new Map(
      round.map(({ record, usage, readAt }) => [
        record.run?.runId ?? '',
        { cpuNs: cpuNsOf(usage), atNs: readAt },
      ]),
    );
    yield round;
    if (once) return;
    const restMs = (intervalMs || USUAL_INTERVAL_MS) - (performance.now() - begin);
    await sleep(Math.max(restMs, 0), undefined, { signal: abort });
  }
}

const cpuNsOf = ({ cpu }: CgroupUsage): number => cpu.userNs + cpu.systemNs;

async function readRound(
  engine: Engine,
  reader: UsageReader,
  ids: readonly string[],
  before: ReadonlyMap<string, Before>,
): Promise<TaskUsage[]> {
  const { containers } = engine.store;
  const records = ids.length === 0 ? containers.list() : ids.flatMap((id) => containers.get(id) ?? []);
  const cpus = hostCpus().online.size;
  const round: TaskUsage[] = [];
  let count = 0;
  for (const record of records) {
    if (!isAlive(record.status)) continue;
    count += 1;
    if (count % AT_ONCE === 0) await setImmediate();
    const usage = readTask(record, reader, before, cpus);
    if (usage !== undefined) round.push(usage);
  }
  return round;
}

function readTask(
  record: ContainerRecord,
  reader: UsageReader,
  before: ReadonlyMap<string, Before>,
  cpus: number,
): TaskUsage | undefined {
  const { run, config } = record;
  if (run === undefined) return undefined;
  const usage = reader.read(run.cgroupPath);
  if (usage === undefined) return undefined;
  const readAt = nowNs();
  const last = before.get(run.runId);
  const passed = last === undefined ? 0 : Number(readAt - last.atNs);
  const cpuPercent = last === undefined || passed <= 0 ? 0 : ((cpuNsOf(usage) - last.cpuNs) * 100) / passed;
  const { cpusetCpus } = config.resources;
  return {
    ...{ record, readAt, usage },
    cpuPercent: Math.max(cpuPercent, 0),
    onlineCpus: cpusetCpus === undefined ? cpus : parseCpuList(cpusetCpus).length,
    // The host's are nobody's in particular.
    interfaces: config.network === 'host' || run.pid === 0 ? [] : interfaceTraffic(run.pid),
  };
}

/**
 * Limits of a container as the files and values that set them, on v1 and v2. The conversion between the two
 * is the one of the OCI runtimes (runtime-spec, config-linux.md; shares to weight as in crun and runc).
 */
import type { Resources } from '../model/container.ts';
import { cannot } from '../model/error.ts';
import { type CgroupLayout, hierarchyOf } from './layout.ts';

/** One value for one file below the container's cgroup. */
export interface CgroupWrite {
  /** Absolute path of the file. */
  readonly file: string;
  readonly value: string;
}

/** Length of one scheduling period; Docker's. */
const CPU_PERIOD_US = 100_000n;

/** 2..262144 onto 1..10000. */
export const sharesToWeight = (shares: number): number => 1 + Math.floor(((shares - 2) * 9999) / 262142);

const cpuQuotaUs = (nanoCpus: bigint): bigint => (nanoCpus * CPU_PERIOD_US) / 1_000_000_000n;

interface Wish {
  readonly option: string;
  readonly v1: readonly [controller: string, file: string, value: string][];
  readonly v2: readonly [file: string, value: string][];
}

function wishes(r: Resources): Wish[] {
  const list: Wish[] = [];
  if (r.memoryLimitBytes !== undefined) {
    const limit = String(r.memoryLimitBytes);
    list.push({
      option: 'memory limit',
      v1: [['memory', 'memory.limit_in_bytes', limit]],
      v2: [['memory.max', limit]],
    });
  }
  if (r.cpuShares !== undefined)
    list.push({
      option: 'cpu shares',
      v1: [['cpu', 'cpu.shares', String(r.cpuShares)]],
      v2: [['cpu.weight', String(sharesToWeight(r.cpuShares))]],
    });
  if (r.nanoCpus !== undefined) {
    const quota = String(cpuQuotaUs(r.nanoCpus));
    list.push({
      option: 'cpu limit',
      v1: [
        ['cpu', 'cpu.cfs_period_us', String(CPU_PERIOD_US)],
        ['cpu', 'cpu.cfs_quota_us', quota],
      ],
      v2: [['cpu.max', `${quota} ${CPU_PERIOD_US}`]],
    });
  }
  if (r.cpusetCpus !== undefined)
    list.push({
      option: 'cpu list',
      v1: [['cpuset', 'cpuset.cpus', r.cpusetCpus]],
      v2: [['cpuset.cpus', r.cpusetCpus]],
    });
  if (r.pidsMax !== undefined)
    list.push({
      option: 'pids limit',
      v1: [['pids', 'pids.max', String(r.pidsMax)]],
      v2: [['pids.max', String(r.pidsMax)]],
    });
  return list;
}

/** Swap beside a memory limit: the same amount again. Not every kernel counts swap, so it may be missing. */
export function swapWrite(layout: CgroupLayout, path: string, r: Resources): CgroupWrite | undefined {
  if (r.memoryLimitBytes === undefined) return undefined;
  const memory = hierarchyOf(layout, 'memory');
  return memory === undefined
    ? { file: `${layout.unified}${path}/memory.swap.max`, value: String(r.memoryLimitBytes) }
    : { file: `${memory}${path}/memory.memsw.limit_in_bytes`, value: String(r.memoryLimitBytes * 2n) };
}

/**
 * What to write before the first process joins.
 * @param path - of the container's cgroup below each mount point: `/mydocker-1a2b3c4d/<id>`.
 * @throws MydockerError `failed-precondition` when this machine lacks the controller: a limit is never ignored.
 */
export function limitWrites(layout: CgroupLayout, path: string, resources: Resources): CgroupWrite[] {
  return wishes(resources).flatMap((wish) => {
    if (layout.kind === 'v2')
      return wish.v2.map(([file, value]) => ({ file: `${layout.unified}${path}/${file}`, value }));
    return wish.v1.map(([controller, file, value]) => {
      const mount = hierarchyOf(layout, controller);
      if (mount === undefined)
        throw cannot(
          'failed-precondition',
          'set',
          wish.option,
          '',
          `this machine has no ${controller} controller`,
          {
            reason: 'CGROUP_CONTROLLER_MISSING',
            hint: `mount the v1 controller ${controller}, or start without this limit`,
          },
        );
      return { file: `${mount}${path}/${file}`, value };
    });
  });
}

/** What the server tells about itself and its host. */
import { readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, hostname, release, totalmem } from 'node:os';
import { hostArchitecture } from '../image/image-config.ts';
import { isAlive } from '../model/task-state.ts';
import { PLAN_VERSION } from '../spec/plan-codec.ts';
import { SCHEMA_VERSION } from '../store/schema.ts';
import type { Engine } from './engine.ts';

/** Versions of the server and its parts. */
export interface Versions {
  readonly version: string;
  readonly node: string;
  readonly planFormat: number;
  readonly store: number;
  readonly kernel: string;
  /** Go's word. */
  readonly architecture: string;
}

/** The host and the objects on it. */
export interface SystemInfo {
  readonly hostname: string;
  readonly osName: string;
  readonly kernel: string;
  readonly architecture: string;
  readonly cpuCount: number;
  readonly memoryBytes: bigint;
  readonly backingFilesystem: string;
  readonly cgroupControllers: readonly string[];
  readonly securityModules: readonly string[];
  readonly containers: number;
  readonly containersRunning: number;
  readonly containersStopped: number;
  readonly images: number;
  /** What an operator should know, in sentences. */
  readonly warnings: readonly string[];
}

/** Magic numbers of statfs(2). */
const FILESYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  16914836: 'tmpfs',
  2035054128: 'overlay',
  801189825: 'zfs',
  4076150800: 'f2fs',
};

/** Versions; nothing is looked up that can change. */
export function versions(engine: Engine): Versions {
  return {
    version: engine.config.version,
    node: process.versions.node,
    planFormat: PLAN_VERSION,
    store: SCHEMA_VERSION,
    kernel: release(),
    architecture: hostArchitecture(),
  };
}

/** State of the host and the server, as it is now. */
export function systemInfo(engine: Engine): SystemInfo {
  const containers = engine.store.containers.list();
  const running = containers.filter(({ status }) => isAlive(status)).length;
  const { type } = statfsSync(engine.paths.root);
  return {
    hostname: hostname(),
    osName: /^PRETTY_NAME="?([^"\n]*)/m.exec(readText('/etc/os-release'))?.[1] ?? '',
    kernel: release(),
    architecture: hostArchitecture(),
    cpuCount: availableParallelism(),
    memoryBytes: BigInt(totalmem()),
    backingFilesystem: FILESYSTEMS[type] ?? `0x${type.toString(16)}`,
    cgroupControllers: controllers(engine),
    securityModules: readText('/sys/kernel/security/lsm').split(',').filter(Boolean),
    containers: containers.length,
    containersRunning: running,
    containersStopped: containers.length - running,
    images: engine.store.images.size,
    warnings: warnings(engine),
  };
}

function controllers({ cgroups: { layout } }: Engine): readonly string[] {
  const unified = layout.unified === undefined ? '' : readText(`${layout.unified}/cgroup.controllers`);
  const all = [...layout.hierarchies.flatMap((h) => h.controllers), ...unified.split(' ')];
  return [...new Set(all)].filter((name) => name !== '' && !name.startsWith('name=')).sort();
}

function warnings({ store: { openReport } }: Engine): readonly string[] {
  if (!openReport.damaged) return [];
  const { rebuilt, lost, repairedFrom } = openReport;
  const copy = repairedFrom === undefined ? '' : `; the damaged copy is ${repairedFrom}`;
  const what = lost.length === 0 ? 'nothing is known to be missing' : `lost: ${lost.join(', ')}`;
  return [
    `metadata was damaged at the last start: ${rebuilt.length} containers were rebuilt, ${what}${copy}`,
  ];
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

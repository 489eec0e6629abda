/** What the server tells about itself and its host. */
import { readFileSync } from 'node:fs';
import { availableParallelism, hostname, release, totalmem } from 'node:os';
import { hostArchitecture } from '../image/image-config.ts';
import { isAlive } from '../model/task-state.ts';
import { PLAN_VERSION } from '../spec/plan-codec.ts';
import { SCHEMA_VERSION } from '../store/schema.ts';
import type { Engine } from './engine.ts';
import { filesystemOf } from './probe-storage.ts';

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

/** Something that the kernel or the disk can or cannot do. */
export interface Feature {
  readonly name: string;
  readonly available: boolean;
  /** What is done instead, or what users miss; `''` where available. */
  readonly alternative: string;
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
  readonly features: readonly Feature[];
  readonly containers: number;
  readonly containersRunning: number;
  readonly containersPaused: number;
  readonly containersStopped: number;
  readonly images: number;
  /** What an operator should know, in sentences. */
  readonly warnings: readonly string[];
}

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
  const alive = containers.filter(({ status }) => isAlive(status)).length;
  const paused = containers.filter(({ status }) => status === 'paused').length;
  return {
    hostname: hostname(),
    osName: /^PRETTY_NAME="?([^"\n]*)/m.exec(readText('/etc/os-release'))?.[1] ?? '',
    kernel: release(),
    architecture: hostArchitecture(),
    cpuCount: availableParallelism(),
    memoryBytes: BigInt(totalmem()),
    backingFilesystem: filesystemOf(engine.paths.root),
    features: features(engine),
    cgroupControllers: controllers(engine),
    securityModules: readText('/sys/kernel/security/lsm').split(',').filter(Boolean),
    containers: containers.length,
    containersRunning: alive - paused,
    containersPaused: paused,
    containersStopped: containers.length - alive,
    images: engine.store.images.size,
    warnings: warnings(engine),
  };
}

function features({ storage: { backing } }: Engine): readonly Feature[] {
  const feature = (name: string, available: boolean, alternative: string): Feature => ({
    ...{ name, available, alternative: available ? '' : alternative },
  });
  const { directoryTypes, xattrs, renameWhiteout, overlayError } = backing;
  return [
    feature('storage-directory-types', directoryTypes, 'overlay cannot hide files reliably'),
    feature('storage-trusted-xattrs', xattrs, 'overlay cannot mark opaque directories'),
    feature('storage-rename-whiteout', renameWhiteout, 'overlay makes whiteouts in two steps'),
    feature('storage-overlay', overlayError === undefined, `${overlayError}; vfs copies instead`),
  ];
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

/** mydocker.v1.SystemService: decode, one operation, encode. */
import {
  CgroupLayout,
  DiskUsageKind,
  type GetDiskUsageResponse,
  type GetInfoResponse,
  type SystemServiceDefinition,
} from '../../proto/gen/mydocker/v1/system.ts';
import type { Platform } from '../../proto/gen/mydocker/v1/types.ts';
import { invalidArgument } from '../model/error.ts';
import { type DiskUsage, diskUsage, type UsageKind } from '../ops/disk-usage.ts';
import type { Engine } from '../ops/engine.ts';
import { pruneContainers } from '../ops/prune-containers.ts';
import { pruneImages } from '../ops/prune-images.ts';
import { pruneVolumes } from '../ops/prune-volumes.ts';
import { systemInfo, versions } from '../ops/system-info.ts';
import { decodePrune } from './decode-filter.ts';
import type { Implementation } from './handlers.ts';
import { toTimestamp } from './timestamp.ts';

/** How this server was started, as far as it is told. */
export interface ServerFacts {
  /** ns since epoch. */
  readonly startedAt: bigint;
  /** `unix:///run/mydocker/mydocker.sock`. */
  readonly listen: readonly string[];
  readonly debug: boolean;
}

const MAX_PAYLOAD_BYTES = 1024;

const LAYOUT = { v1: CgroupLayout.V1, hybrid: CgroupLayout.HYBRID, v2: CgroupLayout.V2 } as const;

export function systemService(
  engine: Engine,
  facts: ServerFacts,
): Implementation<typeof SystemServiceDefinition> {
  return {
    ping: ({ payload }) => {
      if (payload.length > MAX_PAYLOAD_BYTES)
        throw invalidArgument(`cannot ping: the payload is larger than ${MAX_PAYLOAD_BYTES} bytes`);
      return { payload };
    },
    getVersion: () => {
      const { version, node, planFormat, store, kernel, architecture } = versions(engine);
      return {
        ...{ version, apiVersion: 'v1', gitCommit: '', builtAt: undefined, nodeVersion: node },
        // Both are built from one tree.
        shimVersion: version,
        planFormatVersion: planFormat,
        storeVersion: store,
        kernelVersion: kernel,
        platform: platform(architecture),
      };
    },
    getInfo: () => encodeInfo(engine, facts),
    getDiskUsage: async ({ objects }, { signal }) =>
      encodeDiskUsage(await diskUsage(engine, signal), objects),
    pruneSystem: async ({ allImages, volumes, filter }, { signal }) => {
      const which = decodePrune(filter);
      // Containers first: what they used goes with the images.
      const containers = await pruneContainers(engine, { ...which, abort: signal });
      const images = await pruneImages(engine, { all: allImages, ...which });
      const data = volumes ? await pruneVolumes(engine, { ...which, abort: signal }) : NO_VOLUMES;
      return {
        ...{ containers: containers.removed, networks: [], volumes: data.removed },
        ...{ images: images.deleted, untagged: images.untagged },
        reclaimedBytes: containers.reclaimedBytes + images.reclaimedBytes + data.reclaimedBytes,
      };
    },
  };
}

function encodeInfo(engine: Engine, { startedAt, listen, debug }: ServerFacts): GetInfoResponse {
  const info = systemInfo(engine);
  const { events } = engine.store;
  return {
    server: {
      ...{ version: engine.config.version, instance: engine.instance, pid: process.pid, debug },
      startedAt: toTimestamp(startedAt),
      rootDir: engine.paths.root,
      stateDir: engine.paths.state,
      listenAddresses: listen,
      cgroupParent: engine.cgroups.parent,
      cgroupDriver: engine.cgroups.systemd === undefined ? 'cgroupfs' : 'systemd',
      storageDriver: engine.storage.driver,
      backingFilesystem: info.backingFilesystem,
      defaultNetwork: engine.networks.defaultBridge,
      subnetPools: [],
      lastEventSeq: events.lastSeq,
      oldestEventSeq: events.firstSeq,
    },
    host: {
      hostname: info.hostname,
      osName: info.osName,
      kernelVersion: info.kernel,
      platform: platform(info.architecture),
      cpuCount: info.cpuCount,
      memoryBytes: info.memoryBytes,
      cgroupLayout: LAYOUT[engine.cgroups.layout.kind],
      cgroupControllers: info.cgroupControllers,
      securityModules: info.securityModules,
      bootId: engine.bootId,
    },
    counts: {
      ...{ containers: info.containers, containersRunning: info.containersRunning },
      ...{ containersPaused: info.containersPaused },
      ...{
        containersStopped: info.containersStopped,
        images: info.images,
        networks: engine.store.networks.size,
      },
      volumes: engine.store.volumes.size,
    },
    features: info.features,
    warnings: info.warnings,
  };
}

const NO_VOLUMES = { removed: [], reclaimedBytes: 0n } as const;

const USAGE_KIND: Readonly<Record<UsageKind, DiskUsageKind>> = {
  images: DiskUsageKind.IMAGES,
  blobs: DiskUsageKind.BLOBS,
  containers: DiskUsageKind.CONTAINERS,
  logs: DiskUsageKind.LOGS,
  volumes: DiskUsageKind.VOLUMES,
  metadata: DiskUsageKind.METADATA,
  downloads: DiskUsageKind.DOWNLOADS,
};

function encodeDiskUsage(
  { usages, objects, freeBytes, totalBytes }: DiskUsage,
  withObjects: boolean,
): GetDiskUsageResponse {
  return {
    usages: usages.map(({ kind, bytes, ...usage }) => ({
      ...usage,
      kind: USAGE_KIND[kind],
      sizeBytes: bytes,
    })),
    objects: (withObjects ? objects : []).map(({ kind, names, bytes, ...object }) => ({
      ...object,
      kind: USAGE_KIND[kind],
      name: names.join(' '),
      sizeBytes: bytes,
    })),
    freeBytes,
    totalBytes,
  };
}

function platform(architecture: string): Platform {
  return { os: 'linux', architecture, variant: '' };
}

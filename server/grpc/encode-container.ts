/** Containers on the wire: in full, and as lists show them. */
import type { Container, ContainerSize, ContainerSummary } from '../../proto/gen/mydocker/v1/containers.ts';
import { HealthStatus } from '../../proto/gen/mydocker/v1/types.ts';
import type { ContainerRecord } from '../model/container.ts';
import { isAlive } from '../model/task-state.ts';
import { networkNames } from '../ops/container-networks.ts';
import type { ContainerBytes } from '../ops/disk-usage.ts';
import type { Engine } from '../ops/engine.ts';
import type { ContainerDetails } from '../ops/get-container.ts';
import { isNotResponding } from '../ops/not-responding.ts';
import { encodePlace } from './attachments.ts';
import { encodeConfig } from './encode-config.ts';
import { encodeLastExit, encodeRun, encodeStatus, startedAt } from './encode-run.ts';
import { encodePort, encodePublished } from './ports.ts';
import { toTimestamp } from './timestamp.ts';

export function encodeContainer({
  record,
  files,
  places,
  shimPid,
  notResponding,
}: ContainerDetails): Container {
  return {
    id: record.id,
    rev: record.rev,
    name: record.name,
    config: encodeConfig(record.config, places),
    status: encodeStatus(record),
    createdAt: toTimestamp(record.createdAt),
    updatedAt: toTimestamp(record.updatedAt),
    run: encodeRun(record, shimPid, notResponding),
    exit: encodeLastExit(record),
    endpoints: places.map(encodePlace),
    ports: encodePublished(record),
    health: undefined,
    restartCount: 0,
    paths: files,
    size: undefined,
  };
}

export function encodeSummary(
  engine: Pick<Engine, 'store' | 'runs'>,
  record: ContainerRecord,
): ContainerSummary {
  const { config, run, status, endpoints = [] } = record;
  const { rootfs } = config;
  return {
    id: record.id,
    rev: record.rev,
    name: record.name,
    image: rootfs.kind === 'image' ? rootfs.reference : rootfs.path,
    imageId: rootfs.kind === 'image' ? rootfs.imageId : '',
    status: encodeStatus(record),
    driver: rootfs.kind === 'image' ? (config.storageDriver ?? 'overlay') : '',
    pid: isAlive(status) && run !== undefined ? run.pid : 0,
    args: config.args,
    ips: endpoints.flatMap(({ ipv4, ipv6 }) => [ipv4, ...(ipv6 === undefined ? [] : [ipv6])]),
    ports: encodePublished(record),
    createdAt: toTimestamp(record.createdAt),
    startedAt: run === undefined ? undefined : startedAt(record, run),
    exit: encodeLastExit(record),
    runId: run?.runId ?? '',
    labels: config.labels,
    health: HealthStatus.UNSPECIFIED,
    notResponding: isNotResponding(engine, record),
    networks: networkNames(engine, record),
    mounts: [...config.mounts, ...(config.volumes ?? [])].map(({ destination }) => destination),
    size: undefined,
    volumeCount: config.volumes?.length ?? 0,
    exposedPorts: (config.exposedPorts ?? []).flatMap(encodePort),
  };
}

/** Bytes as they were measured; absent where nobody asked. */
export function encodeSize(bytes: ContainerBytes | undefined): ContainerSize | undefined {
  if (bytes === undefined) return undefined;
  const { files, log, layers } = bytes;
  return { writableBytes: files, rootfsBytes: layers + files, logBytes: log };
}

/** Rough size of a summary in bytes; all but a few lists and texts is small. */
export function summarySize({ args, labels, mounts, image }: ContainerSummary): number {
  let chars = 512 + image.length;
  for (const text of args) chars += text.length + 4;
  for (const text of mounts) chars += text.length + 4;
  for (const key in labels) chars += key.length + (labels[key]?.length ?? 0) + 8;
  return chars;
}

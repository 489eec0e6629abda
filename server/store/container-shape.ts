/**
 * Whether a value read from a container's config.json is a container record: what is rebuilt from a file
 * decides what runs as root later, so every field is looked at.
 */
import type { ContainerConfig, ContainerRecord, RootfsSource, TaskStatus } from '../model/container.ts';
import { isId } from '../model/ids.ts';
import { parseName } from '../model/name.ts';
import { MAX_PORT } from '../model/port.ts';
import { isVolumeName } from '../model/volume.ts';

type Fields = Readonly<Record<string, unknown>>;

const STATUSES: readonly TaskStatus[] = ['created', 'starting', 'running', 'paused', 'stopped'];

/**
 * @param id - name of the folder that the file lies in.
 * @returns the value, or undefined when it is not a whole record of this container.
 */
export function asContainerRecord(id: string, value: unknown): ContainerRecord | undefined {
  if (!isFields(value) || !isId(id) || value['id'] !== id || value['v'] !== 1) return undefined;
  const ok =
    ['rev', 'createdAt', 'updatedAt'].every((key) => isAmount(value[key])) &&
    isName(value['name']) &&
    STATUSES.some((status) => status === value['status']) &&
    Array.isArray(value['layers']) &&
    value['layers'].every(isAmount) &&
    isConfig(value['config']) &&
    (value['endpoints'] === undefined ||
      (Array.isArray(value['endpoints']) && value['endpoints'].every(isEndpoint))) &&
    (value['run'] === undefined || isRun(value['run'])) &&
    (value['exit'] === undefined || isFields(value['exit']));
  return ok ? (value as unknown as ContainerRecord) : undefined;
}

/** One check for each field of the config, so that a new field cannot be forgotten. */
const CONFIG: Record<keyof ContainerConfig, (value: unknown) => boolean> = {
  rootfs: isRootfs,
  args: (value) => isTexts(value) && value.length > 0,
  entrypointLength: (value) => value === undefined || Number.isInteger(value),
  env: isTexts,
  workingDir: isText,
  user: isText,
  hostname: isText,
  terminal: isFlag,
  openStdin: isFlag,
  init: (value) => value === undefined || isFlag(value),
  stdinOnce: (value) => value === undefined || isFlag(value),
  mounts: (value) => Array.isArray(value) && value.every(isMount),
  network: isText,
  dns: (value) => value === undefined || isDns(value),
  readOnlyRootfs: isFlag,
  resources: isFields,
  ulimits: (value) => value === undefined || (Array.isArray(value) && value.every(isFields)),
  sysctls: (value) => value === undefined || (isFields(value) && Object.values(value).every(isText)),
  devices: (value) => value === undefined || (Array.isArray(value) && value.every(isFields)),
  privileged: (value) => value === undefined || isFlag(value),
  oomScoreAdj: (value) => value === undefined || Number.isInteger(value),
  cgroupParent: (value) =>
    value === undefined || (isText(value) && /^(?:\/(?!\.{1,2}(?:\/|$))[^/\0]+)+$/.test(value)),
  additionalGroups: (value) => value === undefined || isTexts(value),
  tmpfs: (value) => value === undefined || (Array.isArray(value) && value.every(isTmpfs)),
  shmSizeBytes: (value) => value === undefined || isAmount(value),
  namespaces: (value) => value === undefined || isNamespaces(value),
  extraHosts: (value) => value === undefined || (Array.isArray(value) && value.every(isHostEntry)),
  volumes: (value) => value === undefined || (Array.isArray(value) && value.every(isVolumeMount)),
  volumesFrom: (value) => value === undefined || isTexts(value),
  exposedPorts: (value) => value === undefined || isTexts(value),
  ports: (value) => value === undefined || (Array.isArray(value) && value.every(isPublishedPort)),
  publishAll: (value) => value === undefined || isFlag(value),
  restartPolicy: (value) => value === undefined || isFields(value),
  healthCheck: (value) => value === undefined || isFields(value),
  storageDriver: (value) => value === undefined || value === 'overlay' || value === 'vfs',
  stopSignal: Number.isInteger,
  stopTimeoutMs: Number.isInteger,
  autoRemove: isFlag,
  labels: (value) => isFields(value) && Object.values(value).every(isText),
};

const matches = (pattern: RegExp, value: unknown): boolean => isText(value) && pattern.test(value);

/** They go into messages for the kernel. */
function isEndpoint(value: unknown): boolean {
  return (
    isFields(value) &&
    isText(value['networkId']) &&
    matches(/^\d{1,3}(?:\.\d{1,3}){3}$/, value['ipv4']) &&
    (value['ipv6'] === undefined || matches(/^[0-9a-f:.]{2,45}$/, value['ipv6'])) &&
    matches(/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/, value['mac']) &&
    (value['interfaceName'] === undefined || matches(/^[a-zA-Z0-9_.-]{1,15}$/, value['interfaceName'])) &&
    [value['aliases'], value['given']].every((list) => list === undefined || isTexts(list))
  );
}

function isRun(value: unknown): boolean {
  if (!isFields(value)) return false;
  const { ports, memory } = value as { readonly ports?: unknown; readonly memory?: unknown };
  return (
    (ports === undefined || (Array.isArray(ports) && ports.every(isPublishedPort))) &&
    (memory === undefined || (Array.isArray(memory) && memory.every(isRunMemory)))
  );
}

/** The slot becomes part of a path. */
function isRunMemory(value: unknown): boolean {
  return isFields(value) && isText(value['volume']) && Number.isInteger(value['slot']);
}

/** They become part of a script for nft. */
function isPublishedPort(value: unknown): boolean {
  return (
    isFields(value) &&
    ['tcp', 'udp', 'sctp'].some((protocol) => protocol === value['protocol']) &&
    isText(value['hostIp']) &&
    /^[0-9a-f.:]*$/.test(value['hostIp']) &&
    [value['hostPort'], value['containerPort'], value['count']].every(
      (port) => Number.isInteger(port) && (port as number) >= 0 && (port as number) <= MAX_PORT,
    )
  );
}

function isDns(value: unknown): boolean {
  return isFields(value) && [value['servers'], value['search'], value['options']].every(isTexts);
}

function isConfig(value: unknown): boolean {
  return isFields(value) && Object.entries(CONFIG).every(([key, check]) => check(value[key]));
}

function isRootfs(value: unknown): boolean {
  if (!isFields(value)) return false;
  const kind = value['kind'] as RootfsSource['kind'];
  if (kind === 'image') return isText(value['imageId']) && isText(value['reference']);
  return kind === 'directory' && isText(value['path']);
}

function isMount(value: unknown): boolean {
  return (
    isFields(value) &&
    isText(value['source']) &&
    isText(value['destination']) &&
    isFlag(value['readOnly']) &&
    isIdMap(value['idMap'])
  );
}

function isTmpfs(value: unknown): boolean {
  return (
    isFields(value) && isText(value['destination']) && isFlag(value['readOnly']) && isTexts(value['options'])
  );
}

function isNamespaces(value: unknown): boolean {
  return (
    isFields(value) &&
    Object.entries(value).every(
      ([kind, shared]) =>
        ['pid', 'ipc', 'uts', 'cgroup', 'network'].includes(kind) &&
        isFields(shared) &&
        (shared['kind'] === 'host' || (isText(shared['container']) && isId(shared['container']))),
    )
  );
}

function isHostEntry(value: unknown): boolean {
  return isFields(value) && isText(value['hostname']) && isText(value['address']);
}

function isVolumeMount(value: unknown): boolean {
  return (
    isFields(value) &&
    isText(value['volume']) &&
    isVolumeName(value['volume']) &&
    (value['subpath'] === undefined || isText(value['subpath'])) &&
    isText(value['destination']) &&
    isFlag(value['readOnly']) &&
    isIdMap(value['idMap'])
  );
}

/** It becomes the map of a user namespace. */
function isIdMap(value: unknown): boolean {
  if (value === undefined) return true;
  return (
    isFields(value) &&
    [value['uids'], value['gids']].every(
      (ranges) =>
        Array.isArray(ranges) &&
        ranges.every(
          (range) =>
            isFields(range) &&
            [range['containerID'], range['hostID'], range['size']].every((id) => Number.isInteger(id)),
        ),
    )
  );
}

function isName(value: unknown): boolean {
  if (!isText(value)) return false;
  try {
    return parseName(value) === value;
  } catch {
    return false;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isText);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isFlag(value: unknown): boolean {
  return typeof value === 'boolean';
}

function isAmount(value: unknown): boolean {
  return typeof value === 'bigint' && value >= 0n;
}

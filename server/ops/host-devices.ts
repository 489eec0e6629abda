/** Devices of the host that a container gets: looked at anew for each start, since numbers change with what is plugged in. */
import { readdirSync, type Stats, statSync } from 'node:fs';
import { deviceNumbers } from '../cgroup/device-numbers.ts';
import type { ContainerConfig, DeviceMapping } from '../model/container.ts';
import { cannot } from '../model/error.ts';
import type { OciDevice } from '../model/oci-spec.ts';
import type { DeviceRule } from '../model/resources.ts';

/** Nodes that one folder may stand for. */
const MAX_NODES = 1024;
/** What of a /dev is a filesystem of its own, or belongs to one. */
const SKIPPED = new Set(['pts', 'ptmx', 'shm', 'mqueue', 'fd', 'console']);
/** What a privileged container has. */
const EVERY_NODE: DeviceMapping = { hostPath: '/dev', containerPath: '/dev', access: '' };
const EVERY_DEVICE: readonly DeviceRule[] = (['c', 'b'] as const).map((type) => ({
  ...{ allow: true, type, major: null, minor: null, access: 'rwm' },
}));

/** What the container's /dev shows, and what its device controller allows. */
export interface HostDevices {
  readonly devices: readonly OciDevice[];
  readonly rules: readonly DeviceRule[];
}

/** @throws MydockerError `failed-precondition` for one that is gone. */
export function hostDevices({ devices = [], privileged = false, resources }: ContainerConfig): HostDevices {
  if (privileged)
    return {
      devices: [EVERY_NODE, ...devices].flatMap(nodesOf).map(({ device }) => device),
      rules: EVERY_DEVICE,
    };
  const found = devices.flatMap(nodesOf);
  const own = found.map(({ device, access }) => ({
    allow: true,
    type: device.type,
    major: device.major,
    minor: device.minor,
    access,
  }));
  return { devices: found.map(({ device }) => device), rules: [...own, ...(resources.deviceRules ?? [])] };
}

interface Node {
  readonly device: OciDevice;
  readonly access: string;
}

function nodesOf({ hostPath, containerPath, access }: DeviceMapping): Node[] {
  const stat = statSync(hostPath, { throwIfNoEntry: false });
  const device = stat === undefined ? undefined : deviceOf(stat, containerPath);
  if (device !== undefined) return [{ device, access }];
  if (stat?.isDirectory() !== true)
    throw cannot('failed-precondition', 'use', 'device', hostPath, 'it is gone from the host', {
      reason: 'DEVICE_NOT_FOUND',
      exitStatus: 125,
    });
  const nodes: Node[] = [];
  for (const entry of readdirSync(hostPath, { recursive: true, withFileTypes: true })) {
    const path = `${entry.parentPath}/${entry.name}`;
    const below = path.slice(hostPath.length + 1);
    if (SKIPPED.has(below.split('/')[0] ?? '') || !(entry.isBlockDevice() || entry.isCharacterDevice()))
      continue;
    const at = statSync(path, { throwIfNoEntry: false });
    const found = at === undefined ? undefined : deviceOf(at, `${containerPath}/${below}`);
    if (found !== undefined) nodes.push({ device: found, access });
    if (nodes.length > MAX_NODES)
      throw cannot(
        'failed-precondition',
        'use',
        'device',
        hostPath,
        `there are more than ${MAX_NODES} in it`,
        {
          reason: 'CONFIG_INVALID',
          exitStatus: 125,
        },
      );
  }
  return nodes;
}

/** Mode and owner as on the host; undefined for what is no device. */
function deviceOf(stat: Stats, path: string): OciDevice | undefined {
  const type = stat.isBlockDevice() ? 'b' : stat.isCharacterDevice() ? 'c' : undefined;
  if (type === undefined) return undefined;
  const [major, minor] = deviceNumbers(stat.rdev);
  const { uid, gid } = stat;
  return { path, type, major, minor, fileMode: stat.mode & 0o777, uid, gid };
}

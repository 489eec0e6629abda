/**
 * Which cgroup hierarchies this machine has: v2 alone, v1 alone, or both (hybrid). Read once from
 * /proc/self/mountinfo; everything else about cgroups is derived from it.
 */
import { readFileSync } from 'node:fs';

/** Where the server and what it started stand once they have made room in the group that they were given. */
export const SERVER_LEAF = 'mydockerd';

/** One v1 hierarchy. */
export interface Hierarchy {
  /** Its mount point: `/sys/fs/cgroup/memory`. */
  readonly path: string;
  /** Controllers of it, `name=systemd` for a named one without any. */
  readonly controllers: readonly string[];
}

/** What the machine has. `unified` is the cgroup2 mount: all there is on v2, a helper for killing on hybrid. */
export type CgroupLayout =
  | { readonly kind: 'v2'; readonly unified: string; readonly hierarchies: readonly [] }
  | { readonly kind: 'hybrid'; readonly unified: string; readonly hierarchies: readonly Hierarchy[] }
  | { readonly kind: 'v1'; readonly unified?: undefined; readonly hierarchies: readonly Hierarchy[] };

const V1_CONTROLLERS = new Set([
  'cpu',
  'cpuacct',
  'cpuset',
  'memory',
  'devices',
  'freezer',
  'blkio',
  'pids',
  'net_cls',
  'net_prio',
  'perf_event',
  'hugetlb',
  'rdma',
  'misc',
]);

/** `\040` and its like, as mountinfo writes spaces. */
const unescapePath = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/**
 * @param mountinfo - the text of /proc/self/mountinfo (proc_pid_mountinfo(5)).
 * @returns the layout; hierarchies in the order of the file, the first mount of each.
 * @throws Error when there is no cgroup mount at all.
 */
export function parseCgroupLayout(mountinfo: string): CgroupLayout {
  let unified: string | undefined;
  const hierarchies = new Map<string, Hierarchy>();
  for (const line of mountinfo.split('\n')) {
    const [left = '', right = ''] = line.split(' - ');
    const path = unescapePath(left.split(' ')[4] ?? '');
    const [type, , options = ''] = right.split(' ');
    if (type === 'cgroup2') unified ??= path;
    if (type !== 'cgroup') continue;
    const controllers = options.split(',').filter((o) => V1_CONTROLLERS.has(o) || o.startsWith('name='));
    const key = controllers.join(',');
    if (controllers.length > 0 && !hierarchies.has(key)) hierarchies.set(key, { path, controllers });
  }
  const list = [...hierarchies.values()];
  if (unified !== undefined)
    return list.length === 0
      ? { kind: 'v2', unified, hierarchies: [] }
      : { kind: 'hybrid', unified, hierarchies: list };
  if (list.length === 0) throw new Error('no cgroup hierarchy is mounted: mount cgroup2 on /sys/fs/cgroup');
  return { kind: 'v1', hierarchies: list };
}

/** The layout of the machine this process runs on. */
export function readCgroupLayout(): CgroupLayout {
  return parseCgroupLayout(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** Mount point of the v1 hierarchy that has a controller. */
export function hierarchyOf(layout: CgroupLayout, controller: string): string | undefined {
  return layout.hierarchies.find((h) => h.controllers.includes(controller))?.path;
}

/** Whether devices are allowed by a program: where no v1 hierarchy has lists of them. */
export const hasDeviceProgram = (layout: CgroupLayout): boolean =>
  hierarchyOf(layout, 'devices') === undefined && layout.unified !== undefined;

/** Every folder that a cgroup of this path has on this machine. */
export function cgroupFolders(layout: CgroupLayout, path: string): string[] {
  const folders = layout.hierarchies.map((h) => `${h.path}${path}`);
  return layout.unified === undefined ? folders : [...folders, `${layout.unified}${path}`];
}

/** The v1 hierarchies as a container mounts them below /sys/fs/cgroup; empty on v2. */
export function cgroupMounts(layout: CgroupLayout): { readonly name: string; readonly option: string }[] {
  return layout.hierarchies.map(({ controllers }) => {
    const option = controllers.join(',');
    return { name: option.replace(/^name=/, ''), option };
  });
}

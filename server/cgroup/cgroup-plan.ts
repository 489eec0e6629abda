/**
 * A container's cgroup as operations of its launch plan: made and limited before the clone, joined right
 * after it, emptied and removed when the process is gone.
 */
import { constants } from 'node:fs';
import type { Op, Slot } from '../model/plan.ts';
import type { DeviceRule, Resources } from '../model/resources.ts';
import { allowances, type DeviceAllowance, deviceRuleText } from './devices.ts';
import { type CgroupLayout, cgroupFolders, hasDeviceProgram, hierarchyOf } from './layout.ts';
import { type CgroupPlace, type CgroupWrite, limitWrites, type Machine, requireDevices } from './limits.ts';

/** Operations by the section they belong to. */
export interface CgroupOps {
  readonly parentBefore: readonly Op[];
  readonly parentAfter: readonly Op[];
  readonly afterExit: readonly Op[];
  /** cgroup2 folder to be born in. */
  readonly cgroup?: Slot;
}

const mkdir = (path: string): Op => ({
  name: 'mkdir',
  s1: path,
  x: 0o755,
  existsOk: true,
  about: `make cgroup ${path}`,
});
const rename = (from: string, to: string): Op => ({
  name: 'rename',
  s1: from,
  s2: to,
  about: `name cgroup ${to}`,
});
const write = (file: string, value: string, ignoreErrors = false): Op => ({
  name: 'write',
  s1: file,
  s2: value,
  ignoreErrors,
  about: `write ${value} to ${file}`,
});
const limit = ({ file, value, option, optional }: CgroupWrite): Op => ({
  ...write(file, value, optional),
  about: `set ${option}: ${value.trim()} in ${file}`,
});

function allow(layout: CgroupLayout, path: string, rules: readonly DeviceAllowance[]): Op[] {
  const devices = hierarchyOf(layout, 'devices');
  return devices === undefined
    ? []
    : rules.map((rule) => write(`${devices}${path}/devices.allow`, deviceRuleText(rule)));
}

function deviceWrites(layout: CgroupLayout, path: string, rules: readonly DeviceRule[]): Op[] {
  const devices = hierarchyOf(layout, 'devices');
  return devices === undefined
    ? []
    : [write(`${devices}${path}/devices.deny`, 'a'), ...allow(layout, path, allowances(rules))];
}

/** The file that a process is moved into a group by. */
const procs = (folder: string): string => `${folder}/cgroup.procs`;

const joinAll = (folders: readonly string[]): Op[] =>
  folders.map((folder) => ({ name: 'join', s1: procs(folder), about: `join cgroup ${folder}` }));

/**
 * The groups that a launcher waits in (v1 and hybrid): they get the container's name when there is one. A folder of
 * cgroup2 cannot be renamed, and costs nothing to be born in.
 */
export function planWaitingGroups(layout: CgroupLayout, path: string): Omit<CgroupOps, 'parentBefore'> {
  const folders = layout.hierarchies.map((hierarchy) => `${hierarchy.path}${path}`);
  // The process that comes out of it makes its devices from its first moment on: the usual rules are there by then.
  const parentAfter = [...folders.map(mkdir), ...deviceWrites(layout, path, []), ...joinAll(folders)];
  return { parentAfter, afterExit: folders.map(rmdir) };
}

/**
 * On v1 and hybrid all of it is done after the clone: joining waits for the kernel (RCU), and the new process
 * mounts its file systems meanwhile. On v2 the process is born in its group, which costs nothing.
 * @param place - `waiting` is the path of the groups that a launcher waits in; then each device rule allows
 * something, as it has the usual ones. Absent: there is no launcher.
 * @param slots - gives out as many free slots.
 * @param deviceProgram - slot of the loaded device program; needed where no v1 controller has lists of devices.
 * @param machine - default: this one.
 * @throws MydockerError `failed-precondition` for a limit that this machine cannot set.
 */
export function planCgroup(
  place: CgroupPlace & { readonly waiting?: string | undefined },
  resources: Resources,
  slots: (count: number) => Slot[],
  deviceProgram?: Slot,
  machine?: Machine,
): CgroupOps {
  const { layout, path, waiting } = place;
  const folders = cgroupFolders(layout, path);
  const { deviceRules = [] } = resources;
  requireDevices(layout);
  const limits = [
    ...limitWrites(place, resources, machine).map(limit),
    ...(waiting === undefined ? deviceWrites(layout, path, deviceRules) : allow(layout, path, deviceRules)),
  ];
  const afterExit = [...memoryReads(place), ...killOps(place), ...folders.map(rmdir)];
  const attachTo = (cgroup: Slot): Op[] => [
    openFolder(cgroup, `${layout.unified}${path}`),
    ...(deviceProgram === undefined
      ? []
      : [{ name: 'bpf-attach', a: cgroup, b: deviceProgram, about: 'allow no other devices' } as const]),
  ];
  if (layout.kind !== 'v2' && waiting === undefined) {
    const attach = hasDeviceProgram(layout) ? slots(1).flatMap(attachTo) : [];
    const parentAfter = [...folders.map(mkdir), ...limits, ...attach, ...joinAll(folders)];
    return { parentBefore: [], parentAfter, afterExit };
  }
  const named = layout.hierarchies.map(({ path: mount }) => rename(`${mount}${waiting}`, `${mount}${path}`));
  if (layout.unified === undefined)
    return { parentBefore: [], parentAfter: [...named, ...limits], afterExit };
  const [cgroup = 0] = slots(1);
  const make = mkdir(`${layout.unified}${path}`);
  return layout.kind === 'v2'
    ? { parentBefore: [make, ...limits, ...attachTo(cgroup)], parentAfter: [], afterExit, cgroup }
    : { parentBefore: [make, ...attachTo(cgroup)], parentAfter: [...named, ...limits], afterExit, cgroup };
}

const openFolder = (a: Slot, folder: string): Op => ({
  name: 'open',
  a,
  s1: folder,
  // Another number on arm64 than on x86-64.
  x: constants.O_DIRECTORY,
  about: `open cgroup ${folder}`,
});

/**
 * An additional process joins the same groups: by itself, before it leaves the host's view of them.
 * @param joined - on v2 the group that it is born in, the container's or one below.
 */
export function planCgroupExec(
  place: CgroupPlace,
  slots: (count: number) => Slot[],
  joined: string = place.path,
): CgroupOps & { child: readonly Op[] } {
  const { layout, path } = place;
  const none = { parentAfter: [], afterExit: memoryReads(place) };
  if (layout.kind !== 'v2') {
    const child = cgroupFolders(layout, path).map((folder) => ({
      ...write(procs(folder), '0'),
      about: `join cgroup ${folder}`,
    }));
    return { ...none, parentBefore: [], child };
  }
  const [cgroup = 0] = slots(1);
  return { ...none, parentBefore: [openFolder(cgroup, `${layout.unified}${joined}`)], child: [], cgroup };
}

/** Labels under which the memory counters stand in an exit record. */
const MEMORY_LABELS = { v1: 'memory.oom_control', v2: 'memory.events' } as const;

function memoryReads({ layout, path }: CgroupPlace): Op[] {
  const memory = hierarchyOf(layout, 'memory');
  const [folder, label] =
    memory === undefined ? [layout.unified, MEMORY_LABELS.v2] : [memory, MEMORY_LABELS.v1];
  if (folder === undefined) return [];
  return [{ name: 'read', s1: `${folder}${path}/${label}`, s2: label, about: 'keep the memory counters' }];
}

/** Whatever is left in the cgroup dies: by cgroup.kill where there is a cgroup2, else frozen and killed. */
function killOps({ layout, path }: CgroupPlace): Op[] {
  if (layout.unified !== undefined) return [write(`${layout.unified}${path}/cgroup.kill`, '1', true)];
  const freezer = hierarchyOf(layout, 'freezer');
  return freezer === undefined
    ? []
    : [{ name: 'kill-cgroup', s1: `${freezer}${path}`, about: 'kill what is left in the cgroup' }];
}

const rmdir = (path: string): Op => ({ name: 'rmdir', s1: path, about: `remove cgroup ${path}` });

/**
 * Whether the counters of an exit record tell of an out-of-memory kill.
 * @param before - how many there had been when the process began, or was killed by somebody else.
 */
export function toldOom(files: ReadonlyMap<string, string>, before = 0): boolean {
  const text = files.get(MEMORY_LABELS.v1) ?? files.get(MEMORY_LABELS.v2) ?? '';
  const kills = /^oom_kill (\d+)$/m.exec(text);
  return kills !== null && Number(kills[1]) > before;
}

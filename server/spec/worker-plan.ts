/**
 * A helper process of the server (unpacking, removing): a root of its own that holds nothing but the program,
 * read-only, and the one folder it works in; no network, few capabilities, ended with its connection.
 */
import type { OciMount } from '../model/oci-spec.ts';
import { CLONE, type Op, type Plan, type PlanPart, type Slot, type SlotAllocator } from '../model/plan.ts';
import { capabilityMask } from './capabilities.ts';
import { mountFilesystems } from './filesystems.ts';
import { MOUNT_ATTR_RDONLY, MS_REC_SLAVE } from './mount-options.ts';
import { ANY, barrier, bind, dup, FOLDER, mkdirs, mount, O, open, openInRoot, touch } from './ops.ts';

/** Where the worker finds its folder: a name that hides none of the paths it needs. */
const WORK = '.mydocker-work';
/** Devices that any program expects. */
const DEVICES = ['/dev/null', '/dev/urandom'];

export interface WorkerPlanInput {
  /** For messages and ps: `unpack`. */
  readonly name: string;
  /** argv; the first is an absolute path. */
  readonly args: readonly string[];
  readonly env: readonly string[];
  /** Descriptor in the worker by inherited slot. */
  readonly descriptors: readonly (readonly [slot: Slot, descriptor: number])[];
  /** The folder it works in and the descriptor it has it as. */
  readonly folder: {
    readonly path: string;
    readonly descriptor: number;
    /** Is mounted for it, from where the host reaches servers and disks; the path does not count then. */
    readonly filesystem?: OciMount;
  };
  /** Host paths, and whether each is a folder. */
  readonly readOnlyBinds: readonly { readonly path: string; readonly isFolder: boolean }[];
  readonly capabilities: readonly string[];
  readonly cgroup: Omit<PlanPart, 'child'> & { readonly cgroup?: Slot };
  /** Empty host folder to mount on. */
  readonly mountPoint: string;
}

const inside = (path: string): string => path.replace(/^\/+/, '');

function rootOps(input: WorkerPlanInput, root: Slot, mounted: Slot | undefined, slots: SlotAllocator): Op[] {
  const source = slots.take();
  const target = slots.take();
  const tree = [...input.readOnlyBinds, ...DEVICES.map((path) => ({ path, isFolder: false }))];
  return [
    open(target, input.mountPoint, O.path | O.directory),
    mount(target, 'tmpfs', 'tmpfs', 0x2 | 0x4, 'mode=755,size=1m', 'the root of the worker'),
    open(root, input.mountPoint, O.path | O.directory),
    ...tree.flatMap(({ path, isFolder }) => [
      open(source, path, O.path),
      ...(isFolder ? mkdirs(root, inside(path)) : touch(root, inside(path))),
      openInRoot(target, root, inside(path), isFolder ? FOLDER : ANY),
      // Devices must stay writable; they are not folders and not ours.
      bind(target, source, DEVICES.includes(path) ? 0 : MOUNT_ATTR_RDONLY, false, path),
    ]),
    ...mkdirs(root, 'proc'),
    openInRoot(target, root, 'proc', FOLDER),
    mount(target, 'proc', 'proc', 0x2 | 0x4 | 0x8, '', '/proc'),
    ...mkdirs(root, WORK),
    openInRoot(target, root, WORK, FOLDER),
    ...(mounted === undefined
      ? [
          // By name, in this namespace: a descriptor from outside would lead back out.
          open(source, input.folder.path, O.path | O.directory),
          bind(target, source, 0, false, `/${WORK}`),
        ]
      : [{ name: 'place', a: target, b: mounted, about: `mount /${WORK}` } as const]),
    { name: 'setattr', a: root, x: MOUNT_ATTR_RDONLY, about: 'make / read-only' },
  ];
}

/** @throws RangeError when there are more descriptors and paths than a plan can hold. */
export function planWorker(input: WorkerPlanInput, slots: SlotAllocator): Plan {
  const root = slots.take();
  const work = slots.take();
  const scratch = slots.take();
  const { filesystem } = input.folder;
  const filesystems = mountFilesystems(filesystem === undefined ? [] : [filesystem], slots);
  const mask = capabilityMask(input.capabilities);
  return {
    cloneFlags: CLONE.newNs | CLONE.newPid | CLONE.newNet | CLONE.newIpc | CLONE.newUts,
    ...(input.cgroup.cgroup === undefined ? {} : { cgroup: input.cgroup.cgroup }),
    head: '',
    title: `mydocker-shim ${input.name}`,
    sections: {
      'parent-before': [...input.cgroup.parentBefore, ...filesystems.before],
      'parent-after': [...input.cgroup.parentAfter, ...filesystems.after, barrier],
      child: [
        open(scratch, '/', O.path | O.directory),
        { name: 'propagation', a: scratch, x: MS_REC_SLAVE, about: 'cut mount propagation to the host' },
        ...rootOps(input, root, filesystems.trees[0]?.tree, slots),
        barrier,
        { name: 'pivot', a: root, about: 'make it /' },
        openInRoot(work, root, WORK, O.rdonly | O.directory),
        { name: 'setsid', about: 'begin a session' },
        ...input.descriptors.map(([slot, descriptor]) =>
          dup(slot, descriptor, `connect descriptor ${descriptor}`),
        ),
        dup(work, input.folder.descriptor, `connect descriptor ${input.folder.descriptor}`),
        { name: 'bounding', x: mask, about: 'drop capabilities from the bounding set' },
        { name: 'groups', s1: new Uint8Array(0), about: 'leave all groups' },
        { name: 'capset', x: mask, about: 'set capabilities' },
        { name: 'no-new-privs', about: 'gain no privileges by exec' },
        { name: 'umask', x: 0, about: 'make files with exactly the modes given' },
        {
          name: 'exec',
          s1: input.args.slice(0, 1),
          s2: input.args,
          s3: input.env,
          about: `execute ${input.name}`,
        },
      ],
      'after-exit': [...input.cgroup.afterExit],
    },
  };
}

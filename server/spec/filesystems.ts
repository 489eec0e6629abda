/**
 * Filesystems of volumes that are neither folders nor memory: a disk, NFS, CIFS. The shim mounts them in no namespace,
 * from where it reaches servers and disks as the host does, and the child puts them into the container's tree.
 */
import type { OciMount } from '../model/oci-spec.ts';
import type { Op, Slot, SlotAllocator } from '../model/plan.ts';
import { O, open, openInRoot } from './ops.ts';
import type { SharedTrees } from './shared-trees.ts';
import { isForMaker, subdirOf } from './spec-mounts.ts';

/** What the container's own mounts are. */
const OTHERS = new Set(['bind', 'tmpfs', 'proc', 'sysfs', 'devpts', 'mqueue', 'cgroup']);

/** Options that are about the mount and not about the filesystem: MOUNT_ATTR_* of mount_setattr(2). */
const ATTRIBUTES: Readonly<Record<string, number>> = {
  ro: 0x1,
  rro: 0x1,
  nosuid: 0x2,
  nodev: 0x4,
  noexec: 0x8,
  noatime: 0x10,
  strictatime: 0x20,
  nodiratime: 0x80,
};
/** What is so anyway. */
const USUAL = new Set(['rw', 'defaults', 'relatime', 'suid', 'dev', 'exec']);

export const isFilesystem = ({ type }: OciMount): boolean => !OTHERS.has(type);

/** One that is mounted nowhere yet. */
export interface FilesystemTree {
  readonly destination: string;
  readonly tree: Slot;
  /** What of it the container has; absent: all. */
  readonly subdir: string | undefined;
}

/** Operations of the shim: before the clone, and what it closes behind it. */
export interface Filesystems {
  readonly before: readonly Op[];
  readonly after: readonly Op[];
  readonly trees: readonly FilesystemTree[];
}

export function mountFilesystems(mounts: readonly OciMount[], slots: SlotAllocator): Filesystems {
  const made = mounts.filter(isFilesystem).map((mount) => one(mount, slots.take(), slots.take()));
  return {
    before: made.flatMap(({ before }) => before),
    after: made.flatMap(({ after }) => after),
    trees: made,
  };
}

/**
 * In the child, before it makes its root where this mounts: a part can be copied only of what is mounted somewhere.
 * @param mountPoint - folder of the host; what is left there goes with everything else of the host.
 */
export function takeParts(
  filesystems: readonly FilesystemTree[],
  mountPoint: string,
  slots: SlotAllocator,
): { readonly ops: readonly Op[]; readonly trees: SharedTrees } {
  const trees = new Map<string, Slot>();
  const ops = filesystems.flatMap(({ destination, tree, subdir }): Op[] => {
    if (subdir === undefined) {
      trees.set(destination, tree);
      return [];
    }
    const at = slots.take();
    const part = slots.take();
    trees.set(destination, part);
    return [
      open(at, mountPoint, O.path | O.directory),
      { name: 'place', a: at, b: tree, about: `mount the whole of what ${destination} is a part of` },
      open(at, mountPoint, O.path | O.directory),
      {
        ...openInRoot(part, at, subdir, O.path | O.directory),
        about: `open /${subdir} of the volume at ${destination}`,
      },
      { name: 'tree', a: part, b: part, about: `take the part that is mounted at ${destination}` },
    ];
  });
  return { ops, trees };
}

function one(
  mount: OciMount,
  context: Slot,
  tree: Slot,
): FilesystemTree & { readonly before: Op[]; readonly after: Op[] } {
  const { type, source, destination } = mount;
  const subdir = subdirOf(mount);
  const options = mount.options.filter((option) => !isForMaker(option));
  const about = `mount ${destination} (${type})`;
  const config = (s1: string, s2: string): Op => ({
    name: 'fs-config',
    a: context,
    s1,
    s2,
    about: `${about}: ${s1}`,
  });
  const given = options.filter((option) => !USUAL.has(option));
  // A filesystem that is read-only is so itself, too.
  const own = given.filter((option) => option === 'ro' || ATTRIBUTES[option] === undefined);
  return {
    before: [
      { name: 'fs-open', a: context, s1: type, about },
      config('source', source),
      ...own.map((option) => {
        const cut = option.indexOf('=');
        return cut < 0 ? config(option, '') : config(option.slice(0, cut), option.slice(cut + 1));
      }),
      {
        ...{ name: 'fs-mount', a: tree, b: context, about },
        x: given.reduce((bits, option) => bits | (ATTRIBUTES[option] ?? 0), 0),
      },
    ],
    after: [context, tree].map((a) => ({ name: 'close', a, about: `leave ${destination} to the container` })),
    ...{ destination, tree, subdir },
  };
}

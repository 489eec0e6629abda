/**
 * Volumes of memory that several containers share. The memory is the root of a mount namespace that nobody stands in: it
 * lives as long as a shim holds a descriptor of that namespace. Whoever is to have the volume looks in and takes a copy
 * of its mount.
 */
import type { OciMount } from '../model/oci-spec.ts';
import { CLONE, type Op, type Plan, type Slot, type SlotAllocator } from '../model/plan.ts';
import { MS_REC_SLAVE, splitMountOptions } from './mount-options.ts';
import { mount, O, open, openInRoot, setns } from './ops.ts';
import type { SharedTrees } from './shared-trees.ts';
import { subdirOf } from './spec-mounts.ts';

/** A descriptor of a volume's namespace, in a slot of a plan that keeps it. */
export interface MemorySlot {
  readonly volume: string;
  readonly slot: Slot;
  /** Where the container has it. */
  readonly destinations: readonly string[];
}

/**
 * A process that makes the memory and waits in its namespace until somebody has opened that.
 * @param gate - slot of a pipe that never says anything; its end ends the process.
 * @param mountPoint - empty folder of the host, to mount on inside the namespace.
 */
export function planMemory(
  volume: string,
  { options }: OciMount,
  mountPoint: string,
  gate: Slot,
  slots: SlotAllocator,
): Plan {
  const at = slots.take();
  const root = slots.take();
  const { flags, data } = splitMountOptions(options);
  return {
    cloneFlags: CLONE.newNs,
    head: '',
    title: `mydocker-shim volume ${volume}`,
    sections: {
      'parent-before': [],
      'parent-after': [],
      child: [
        open(at, '/', O.path | O.directory),
        { name: 'propagation', a: at, x: MS_REC_SLAVE, about: 'cut mount propagation to the host' },
        open(at, mountPoint, O.path | O.directory),
        mount(at, 'tmpfs', 'tmpfs', flags, data, `the memory of volume ${volume}`),
        open(root, mountPoint, O.path | O.directory),
        // Nothing of the host is held by the namespace.
        { name: 'pivot', a: root, about: 'leave everything else' },
        { name: 'gate', a: gate, about: 'wait until somebody holds the namespace' },
      ],
      'after-exit': [],
    },
  };
}

/** In the child of a container, while it still stands among the host's mounts. */
export function takeMemory(
  memory: readonly MemorySlot[],
  mounts: readonly OciMount[],
  slots: SlotAllocator,
): { readonly ops: readonly Op[]; readonly trees: SharedTrees } {
  const trees = new Map<string, Slot>();
  if (memory.length === 0) return { ops: [], trees };
  const home = slots.take();
  const there = slots.take();
  const take = (volume: string, destination: string): Op[] => {
    const tree = slots.take();
    trees.set(destination, tree);
    const mounted = mounts.find((one) => one.destination === destination);
    const subdir = mounted === undefined ? undefined : subdirOf(mounted);
    return [
      {
        ...openInRoot(tree, there, subdir ?? '', O.path | O.directory),
        about: `open /${subdir ?? ''} of volume ${volume}`,
      },
      { name: 'tree', a: tree, b: tree, about: `take volume ${volume}` },
    ];
  };
  const ops = [
    open(home, '/proc/self/ns/mnt', O.rdonly),
    ...memory.flatMap(({ volume, slot, destinations }) => [
      setns(slot, CLONE.newNs, `look at volume ${volume}`),
      open(there, '/', O.path | O.directory),
      ...destinations.flatMap((destination) => take(volume, destination)),
    ]),
    setns(home, CLONE.newNs, 'come back'),
  ];
  return { ops, trees };
}

/**
 * Mounts of the host that go on being shared with it: copied while the process still stands among the host's mounts as
 * one of them, and put into the container's tree later. What is mounted below them, on either side, shows on the other.
 */
import type { OciMount } from '../model/oci-spec.ts';
import type { Op, Slot, SlotAllocator } from '../model/plan.ts';
import { O, open, openInRoot } from './ops.ts';
import { subdirOf } from './spec-mounts.ts';

/** Copies by the places that they are meant for. */
export type SharedTrees = ReadonlyMap<string, Slot>;

export const isShared = ({ type, options }: OciMount): boolean =>
  type === 'bind' && (options.includes('shared') || options.includes('rshared'));

/** In the child, before it cuts itself off. */
export function takeSharedTrees(
  mounts: readonly OciMount[],
  slots: SlotAllocator,
): { readonly ops: readonly Op[]; readonly trees: SharedTrees } {
  const trees = new Map<string, Slot>();
  const ops = mounts.filter(isShared).flatMap((mount): Op[] => {
    const slot = slots.take();
    const subdir = subdirOf(mount);
    trees.set(mount.destination, slot);
    return [
      open(slot, mount.source, O.path),
      ...(subdir === undefined ? [] : [openInRoot(slot, slot, subdir, O.path)]),
      {
        ...{ name: 'tree', a: slot, b: slot, y: mount.options.includes('rbind') ? 1 : 0 },
        about: `take ${mount.source}, shared with the host`,
      },
    ];
  });
  return { ops, trees };
}

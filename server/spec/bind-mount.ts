/** One bind mount as operations: its source, its place below the root, and what may be done with it. */
import type { OciMount } from '../model/oci-spec.ts';
import type { Op, Slot } from '../model/plan.ts';
import { MOUNT_ATTR_RDONLY } from './mount-options.ts';
import { bind, mkdirs, O, open, openInRoot, touch } from './ops.ts';
import type { SharedTrees } from './shared-trees.ts';
import { subdirOf } from './spec-mounts.ts';

/** Slots that every mount uses in turn, and those that were filled before. */
export interface MountSlots {
  readonly root: Slot;
  readonly target: Slot;
  readonly source: Slot;
  readonly trees: SharedTrees;
}

/**
 * @param propagation - MS_PRIVATE, or 0: as in its namespace.
 * @param isFile - of the source.
 */
export function bindMount(
  m: OciMount,
  propagation: number,
  { root, target, source, trees }: MountSlots,
  isFile: boolean,
): Op[] {
  const path = m.destination.replace(/^\/+/, '');
  const attributes = m.options.includes('rro') ? MOUNT_ATTR_RDONLY : 0;
  const recursive = m.options.includes('rbind');
  const subdir = subdirOf(m);
  const at = openInRoot(target, root, path, isFile ? O.path : O.path | O.directory);
  const closed = (a: Slot, y: number): Op[] => [
    { name: 'setattr', a, x: MOUNT_ATTR_RDONLY, y, about: `make ${m.destination} read-only` },
  ];
  const place = [...(isFile ? touch(root, path) : mkdirs(root, path)), at];
  // What is on top alone is read-only: set when it is there, where nobody sees it yet.
  const top = m.type === 'bind' && m.options.includes('ro') ? [at, ...closed(target, 0)] : [];
  const tree = trees.get(m.destination);
  if (tree !== undefined)
    return [
      ...(attributes === 0 ? [] : closed(tree, recursive ? 1 : 0)),
      ...place,
      { name: 'place', a: target, b: tree, about: `mount ${m.destination}` },
      ...top,
    ];
  return [
    open(source, m.source, O.path),
    ...(subdir === undefined ? [] : [openInRoot(source, source, subdir, O.path)]),
    ...place,
    bind(target, source, attributes, recursive, m.destination, propagation),
    ...top,
  ];
}

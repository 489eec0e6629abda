/** One bind mount as operations: its source, its place below the root, and what may be done with it. */
import type { OciMount } from '../model/oci-spec.ts';
import type { Op, Slot } from '../model/plan.ts';
import { MOUNT_ATTR_RDONLY, MS_REC } from './mount-options.ts';
import { bind, mkdirs, O, open, openInRoot, touch } from './ops.ts';
import type { SharedTrees } from './shared-trees.ts';
import { subdirOf } from './spec-mounts.ts';

/** Slots that every mount uses in turn, and those that were filled before. */
export interface MountSlots {
  readonly root: Slot;
  readonly target: Slot;
  readonly source: Slot;
  readonly trees: SharedTrees;
  /** User namespaces that say whose files are whose, by destination. */
  readonly maps: ReadonlyMap<string, Slot>;
}

/**
 * @param propagation - MS_PRIVATE, or 0: as in its namespace.
 * @param isFile - of the source.
 */
export function bindMount(
  m: OciMount,
  propagation: number,
  { root, target, source, trees, maps }: MountSlots,
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
  const map = maps.get(m.destination);
  const mapOwners = (a: Slot): Op[] =>
    map === undefined
      ? []
      : [{ name: 'setattr', a, b: map, x: 0, y: 0, about: `map the owners of ${m.destination}` }];
  const sourceOps = [
    open(source, m.source, O.path),
    ...(subdir === undefined ? [] : [openInRoot(source, source, subdir, O.path)]),
  ];
  const shared = trees.get(m.destination);
  // Only what nobody can see yet is mapped.
  const tree = shared ?? (map === undefined ? undefined : source);
  if (tree !== undefined)
    return [
      ...(shared === undefined
        ? [
            ...sourceOps,
            { name: 'tree', a: tree, b: tree, y: recursive ? 1 : 0, about: `take ${m.source}` } as const,
          ]
        : []),
      ...mapOwners(tree),
      ...(attributes === 0 ? [] : closed(tree, recursive ? 1 : 0)),
      ...place,
      { name: 'place', a: target, b: tree, about: `mount ${m.destination}` },
      ...(propagation === 0 || shared !== undefined
        ? []
        : [
            at,
            {
              name: 'propagation',
              a: target,
              x: MS_REC | propagation,
              about: `cut ${m.destination} off`,
            } as const,
          ]),
      ...top,
    ];
  return [
    ...sourceOps,
    ...place,
    bind(target, source, attributes, recursive, m.destination, propagation),
    ...top,
  ];
}

/** What a container sees of the control groups: its own, in the layout of the host; read-only unless it is privileged. */
import type { OciSpec } from '../model/oci-spec.ts';
import type { Op, Slot, SlotAllocator } from '../model/plan.ts';
import { MOUNT_ATTR_RDONLY, splitMountOptions } from './mount-options.ts';
import { FOLDER, mkdirs, mount, openInRoot } from './ops.ts';

/** A v1 hierarchy as the container sees it: folder name and mount option. */
export interface CgroupMount {
  readonly name: string;
  readonly option: string;
}

/** After the process has joined: its namespace begins at the group it is in. */
export function cgroupView(
  spec: OciSpec,
  cgroupMounts: readonly CgroupMount[],
  root: Slot,
  slots: SlotAllocator,
): Op[] {
  const m = spec.mounts.find(({ type }) => type === 'cgroup');
  if (m === undefined) return [];
  const target = slots.take();
  const path = m.destination.slice(1);
  const { flags } = splitMountOptions(m.options);
  const open1 = openInRoot(target, root, path, FOLDER);
  if (cgroupMounts.length === 0) return [open1, mount(target, 'cgroup2', 'cgroup', flags, '', m.destination)];
  const folder = slots.take();
  return [
    open1,
    mount(target, 'tmpfs', 'tmpfs', flags & ~1, 'mode=755,size=64k', m.destination),
    openInRoot(folder, root, path, FOLDER),
    ...cgroupMounts.flatMap(({ name, option }) => [
      ...mkdirs(folder, name),
      openInRoot(target, folder, name, FOLDER),
      mount(target, 'cgroup', 'cgroup', flags, option, `${m.destination}/${name}`),
    ]),
    ...(m.options.includes('ro')
      ? [
          {
            name: 'setattr',
            a: folder,
            x: MOUNT_ATTR_RDONLY,
            about: `make ${m.destination} read-only`,
          } as const,
        ]
      : []),
  ];
}

/**
 * Joining namespaces of other containers, as operations. A pid namespace concerns children only, so the shim joins it
 * and the process is born inside; the others are joined by the process before it mounts anything, since what it mounts
 * shows whose namespace it stands in.
 */
import { CLONE, type Op, type Slot, type SlotAllocator } from '../model/plan.ts';
import { close, FOLDER, mkdirs, O, open, openInRoot, setns } from './ops.ts';

export type JoinedKind = 'pid' | 'ipc' | 'network';

/** Another container's first process, as a pidfd in a slot. */
export interface Join {
  readonly slot: Slot;
  /** Its name, for words. */
  readonly container: string;
}

export type Joins = Readonly<Partial<Record<JoinedKind, Join>>>;

/** In the shim, last before the clone. */
export function joinPid({ pid }: Joins): Op[] {
  return pid === undefined
    ? []
    : [setns(pid.slot, CLONE.newPid, `bear the process among those of container ${pid.container}`)];
}

/** In the shim, after the clone: nobody needs them any more. */
export const closeJoined = (joins: Joins): Op[] =>
  Object.values(joins).map(({ slot, container }) => close(slot, `let go of container ${container}`));

/** What {@link joinOthers} leaves for later. */
export interface Joined {
  readonly ops: readonly Op[];
  /** Over /dev/shm, once that can be mounted on. */
  readonly mountShm: (root: Slot) => readonly Op[];
}

/** In the child, before it mounts anything. */
export function joinOthers({ ipc, network }: Joins, slots: SlotAllocator): Joined {
  const ops: Op[] = [];
  if (network !== undefined)
    ops.push(setns(network.slot, CLONE.newNet, `join the network of container ${network.container}`));
  if (ipc === undefined) return { ops, mountShm: () => [] };
  const home = slots.take();
  const there = slots.take();
  const shm = slots.take();
  ops.push(
    setns(ipc.slot, CLONE.newIpc, `join the IPC namespace of container ${ipc.container}`),
    // Its /dev/shm is a mount of its own mount namespace, where alone it can be copied.
    open(home, '/proc/self/ns/mnt', O.rdonly),
    setns(ipc.slot, CLONE.newNs, `look into the files of container ${ipc.container}`),
    open(there, '/', O.path | O.directory),
    openInRoot(shm, there, 'dev/shm', FOLDER),
    { name: 'tree', a: shm, b: shm, about: `take the /dev/shm of container ${ipc.container}` },
    setns(home, CLONE.newNs, 'come back'),
  );
  const mountShm = (root: Slot): readonly Op[] => {
    const target = slots.take();
    return [
      ...mkdirs(root, 'dev/shm'),
      openInRoot(target, root, 'dev/shm', FOLDER),
      { name: 'place', a: target, b: shm, about: `mount /dev/shm of container ${ipc.container}` },
    ];
  };
  return { ops, mountShm };
}

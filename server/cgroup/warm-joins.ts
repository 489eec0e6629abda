/**
 * Moving a process into a v1 cgroup takes a lock of the kernel's whose first taker in a while waits for a grace
 * period of RCU: 1 to 15 ms, while those that follow soon pay next to nothing. So when a container is about to
 * be started, somebody who has the time takes it first.
 * Source: kernel/cgroup/cgroup.c, cgroup_attach_lock; kernel/rcu/sync.c.
 */
import { close, open, readFileSync, write } from 'node:fs';
import type { CgroupLayout } from './layout.ts';

/** Path of this process's group in a v1 hierarchy, below its mount point; undefined when it cannot be named. */
export function ownGroup(procSelfCgroup: string, controllers: readonly string[]): string | undefined {
  const line = procSelfCgroup.split('\n').find((l) => l.split(':')[1] === controllers.join(','));
  const path = line?.split(':').slice(2).join(':');
  // Outside of our own view of the hierarchy there is no path to it.
  return path === undefined || path.includes('/..') ? undefined : path;
}

/**
 * @returns what to call when a join is to be expected: it joins the group that this process is in already,
 * from a thread that may wait; one at a time. On v2, where processes are born in their group, it does nothing.
 */
export function joinWarmer(layout: CgroupLayout): () => void {
  const [hierarchy] = layout.hierarchies;
  if (hierarchy === undefined) return () => undefined;
  let busy = false;
  const done = (): void => {
    busy = false;
  };
  return () => {
    if (busy) return;
    // Read each time: who was moved elsewhere must not move itself back.
    const path = ownGroup(readFileSync('/proc/self/cgroup', 'utf8'), hierarchy.controllers);
    if (path === undefined) return;
    busy = true;
    open(`${hierarchy.path}${path}/cgroup.procs`, 'w', (failure, fd) => {
      if (failure !== null) done();
      else write(fd, '0', () => close(fd, done));
    });
  };
}

/** Which processes a cgroup has, those in groups below it included. */
import { readdirSync, readFileSync } from 'node:fs';
import { type CgroupLayout, cgroupFolders, hierarchyOf } from './layout.ts';

/** All that can be named; process 1 too, of which a container may have its own. */
export function listedPids(folder: string): number[] {
  try {
    const pids = readFileSync(`${folder}/cgroup.procs`, 'utf8').split('\n').map(Number);
    return pids.filter((pid) => pid > 0);
  } catch {
    return [];
  }
}

/**
 * Those that may be killed. Processes of other pid namespaces are listed as 0, which kill(2) takes for the caller's own
 * group.
 */
export const pidsIn = (folder: string): number[] => listedPids(folder).filter((pid) => pid > 1);

/**
 * Where an additional process joins a container. On v2 that is where its first process is: a server in the container, or
 * systemd, has moved it down to make room, and where controllers are handed down no process may be.
 * @param path - of the container's group.
 * @param pid - its first process; 0: nobody knows.
 */
export function groupToJoin(layout: CgroupLayout, path: string, pid: number): string {
  if (layout.kind !== 'v2' || pid === 0) return path;
  try {
    const own = /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? '';
    return own.startsWith(`${path}/`) ? own : path;
  } catch {
    return path;
  }
}

/** A folder and everything below it, parents first; empty when it is gone. */
export function treeOf(folder: string): string[] {
  try {
    const below = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [folder, ...below.flatMap((entry) => treeOf(`${folder}/${entry.name}`))];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Pids on the host, in order; every process is in every hierarchy, so one is asked. */
export function cgroupPids(layout: CgroupLayout, path: string): number[] {
  const pids = hierarchyOf(layout, 'pids');
  const folders = pids === undefined ? cgroupFolders(layout, path) : [`${pids}${path}`];
  return [...new Set(folders.flatMap(treeOf).flatMap(pidsIn))].sort((a, b) => a - b);
}

/** Which processes a cgroup has, those in groups below it included. */
import { readdirSync, readFileSync } from 'node:fs';
import { type CgroupLayout, cgroupFolders, hierarchyOf } from './layout.ts';

/** Processes of other pid namespaces are listed as 0, which kill(2) takes for the caller's own group. */
export function pidsIn(folder: string): number[] {
  try {
    const pids = readFileSync(`${folder}/cgroup.procs`, 'utf8').split('\n').map(Number);
    return pids.filter((pid) => pid > 1);
  } catch {
    return [];
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

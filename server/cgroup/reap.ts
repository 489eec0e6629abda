/**
 * Empties and removes a cgroup whose shim is gone and could not do it: every process in it is killed, then
 * the folders go.
 */
import { existsSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CgroupLayout, cgroupFolders, hierarchyOf, SERVER_LEAF } from './layout.ts';
import { pidsIn, treeOf } from './processes.ts';

const TRIES = 200;
const PAUSE_MS = 10;

/** Somebody else, a shim that is still there, may be removing the same group. */
function writeIfThere(file: string, value: string): void {
  try {
    writeFileSync(file, value, { flag: 'r+' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENODEV') throw error;
  }
}

/** v1: frozen, nobody can fork away while the list is read. */
function killListed(layout: CgroupLayout, path: string, folders: readonly string[]): void {
  const freezer = hierarchyOf(layout, 'freezer');
  const state = freezer === undefined ? undefined : `${freezer}${path}/freezer.state`;
  if (state !== undefined) writeIfThere(state, 'FROZEN');
  for (const pid of new Set(folders.flatMap(pidsIn))) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
  if (state !== undefined) writeIfThere(state, 'THAWED');
}

/** Kills every process of the cgroup. @returns whether there was any. */
export function killCgroup(layout: CgroupLayout, path: string): boolean {
  const folders = cgroupFolders(layout, path).flatMap(treeOf);
  if (folders.every((folder) => pidsIn(folder).length === 0)) return false;
  if (layout.unified !== undefined) writeIfThere(`${layout.unified}${path}/cgroup.kill`, '1');
  killListed(layout, path, folders);
  return true;
}

/**
 * Kills what is in the cgroup and removes its folders in every hierarchy.
 * @throws Error EBUSY when something in it cannot be killed within two seconds.
 */
export async function reapCgroup(layout: CgroupLayout, path: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    killCgroup(layout, path);
    let failure: unknown;
    for (const folder of cgroupFolders(layout, path)) {
      try {
        // Groups that processes inside made themselves go first, deepest first.
        for (const each of treeOf(folder).reverse()) rmdirSync(each);
      } catch (error) {
        failure = error;
      }
    }
    if (failure === undefined) return;
    if (attempt === TRIES) throw failure;
    await sleep(PAUSE_MS);
  }
}

/** Names of the cgroups below a parent, but for the server's own: the containers that have one, known or not. */
export function cgroupsBelow(layout: CgroupLayout, parent: string): string[] {
  const names = new Set<string>();
  for (const folder of cgroupFolders(layout, parent)) {
    if (!existsSync(folder)) continue;
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isDirectory() && entry.name !== SERVER_LEAF) names.add(entry.name);
  }
  return [...names];
}

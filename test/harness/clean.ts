/**
 * Ends by force what a failed test left: the last resort, never the proof that a program tidies up itself.
 */
import { readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cgroupMounts, listCgroups, listProcesses } from './leaks.ts';

const pidsOf = (cgroup: string): number[] => {
  try {
    return readFileSync(join(cgroup, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  } catch {
    return []; // it is gone
  }
};

const kill = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it is gone
  }
};

/** A frozen process does not die: thaws v1 and v2 alike. */
const thaw = (cgroup: string): void => {
  for (const [file, value] of [
    ['freezer.state', 'THAWED'],
    ['cgroup.freeze', '0'],
  ] as const) {
    try {
      writeFileSync(join(cgroup, file), value, { flag: 'r+' });
    } catch {
      // this hierarchy has no such file
    }
  }
};

/**
 * Kills what is in the control groups below a parent, and every process with the host's folder in its command
 * line (shims, zygotes, clients); waits up to 5 s until all are gone.
 */
export async function endEverything(cgroupParent: string, folder: string): Promise<void> {
  const until = Date.now() + 5_000;
  for (;;) {
    const cgroups = listCgroups(cgroupParent);
    for (const cgroup of cgroups) thaw(cgroup);
    const left = new Set(cgroups.flatMap(pidsOf));
    for (const { pid, command, state } of listProcesses()) {
      if (pid !== process.pid && state !== 'Z' && command.includes(`${folder}/`)) left.add(pid);
    }
    if (left.size === 0 || Date.now() > until) return;
    for (const pid of left) kill(pid);
    await sleep(20);
  }
}

/** Removes the parent and all control groups below it, deepest first, in every hierarchy. */
export function removeCgroups(parent: string): void {
  const parents = cgroupMounts().map((mount) => join(mount, parent));
  for (const cgroup of [...listCgroups(parent).sort().reverse(), ...parents]) {
    try {
      rmdirSync(cgroup);
    } catch {
      // it is gone, or busy: the comparison after the run names it
    }
  }
}

/** A name for a folder or a control group that goes with the test's other leftovers should it be killed. */
export const testName = (what: string): string =>
  `mydocker-test-${process.env['MYDOCKER_TEST_RUN'] ?? 'alone'}-${what}`;

/** Removes the folders and control groups of tests that were killed: their processes are dead, with their namespace. */
export function removeLeftovers(mark: string): void {
  const prefix = `mydocker-test-${mark}-`;
  const named = (folder: string): string[] => readdirSync(folder).filter((name) => name.startsWith(prefix));
  for (const name of new Set(cgroupMounts().flatMap(named))) removeCgroups(`/${name}`);
  for (const name of named('/tmp')) rmSync(`/tmp/${name}`, { recursive: true, force: true });
}

/**
 * Where systemd has the groups: it makes and removes slices and scopes in the hierarchies that it knows. What it does
 * not know (huge pages on v2; freezer, cpuset and others on v1) is made beside it, at the same paths, and removed again.
 */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { cannot } from '../model/error.ts';
import type { CgroupLayout } from './layout.ts';

/**
 * v1 controllers in whose hierarchies systemd makes the groups of its units; cpuacct where it is one with cpu.
 * Source: systemd's cgroup-util.h.
 */
const MANAGED = new Set(['name=systemd', 'cpu', 'blkio', 'memory', 'devices', 'pids']);
/** Where the process sits that keeps a unit, on v2. */
const KEEPER = 'keeper';

/** @throws MydockerError `failed-precondition` where systemd does not run this machine. */
export function requireSystemd(): void {
  // Source: sd_booted(3).
  if (existsSync('/run/systemd/system')) return;
  throw cannot('failed-precondition', 'use', 'cgroup driver', 'systemd', 'systemd is not process 1 here', {
    reason: 'SYSTEMD_UNREACHABLE',
    hint: 'start the server with --cgroup-driver cgroupfs',
  });
}

/**
 * On v2 a group with processes of its own hands no controllers down: what keeps the unit makes room.
 * @param path - of the unit.
 * @throws the errors of node:fs.
 */
export function seatKeeper(layout: CgroupLayout, path: string, pid: number): void {
  if (layout.kind !== 'v2') return;
  const seat = `${layout.unified}${path}/${KEEPER}`;
  mkdirSync(seat, { recursive: true });
  writeFileSync(`${seat}/cgroup.procs`, String(pid));
}

/** Removes what was made beside systemd's own, from the bottom up, as far as nobody uses it. */
export function leaveSlice(layout: CgroupLayout, path: string): void {
  const own = layout.hierarchies.filter(({ controllers }) => !controllers.some((name) => MANAGED.has(name)));
  for (let at = path; at !== ''; at = at.slice(0, at.lastIndexOf('/')))
    for (const { path: mount } of own) {
      try {
        rmdirSync(`${mount}${at}`);
      } catch {
        // Not there, or in use.
      }
    }
}

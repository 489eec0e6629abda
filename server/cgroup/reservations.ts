/**
 * Memory that containers reserve, in the groups above them: on cgroup v2 what a group reserves counts only as far as
 * each group above it, below the one that runs short, reserves it as well (memory.low and memory.min in the kernel's
 * cgroup-v2 document). On v1 a reservation stands by itself.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Resources } from '../model/resources.ts';
import type { CgroupLayout } from './layout.ts';

const FILES = ['memory.low', 'memory.min'];

/** Whether there is something for the groups above. */
export const isReserving = ({ memoryReservationBytes, unified = {} }: Resources): boolean =>
  memoryReservationBytes !== undefined || FILES.some((file) => unified[file] !== undefined);

/** Undefined for a group that is gone, or has no such file. */
function reserved(file: string): bigint | 'max' | undefined {
  try {
    const text = readFileSync(file, 'utf8').trim();
    return text === 'max' ? text : BigInt(text);
  } catch {
    return undefined;
  }
}

function sum(values: readonly (bigint | 'max' | undefined)[]): bigint | 'max' {
  let total = 0n;
  for (const value of values) {
    if (value === 'max') return value;
    total += value ?? 0n;
  }
  return total;
}

/**
 * Each group from one up to another reserves what those right below it do together, and no more: what it has beyond
 * that would be for all of them (memory_recursiveprot).
 * @param from - below the mount point, right above the containers'.
 * @param top - the last one that is written; `from` or above it.
 * @throws the errors of node:fs, but for groups that are gone.
 */
export function passReservations(layout: CgroupLayout, from: string, top: string): void {
  if (layout.kind !== 'v2') return;
  for (let path = from; path.startsWith(top); path = path.slice(0, path.lastIndexOf('/'))) {
    const folder = `${layout.unified}${path}`;
    if (!existsSync(folder)) continue;
    const below = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    for (const file of FILES) {
      const wanted = sum(below.map(({ name }) => reserved(`${folder}/${name}/${file}`)));
      const has = reserved(`${folder}/${file}`);
      if (has !== undefined && has !== wanted) writeFileSync(`${folder}/${file}`, String(wanted));
    }
  }
}

/**
 * Memory that containers reserve, in the groups above them: on cgroup v2 what a group reserves counts only as far as
 * each group above it, below the one that runs short, reserves it as well (memory.low and memory.min in the kernel's
 * cgroup-v2 document). On v1 a reservation stands by itself.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { posix } from 'node:path';
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
 * What groups of containers reserve. Each group above reserves what those below it do together, and no more: what it
 * has beyond that would be for all of them (memory_recursiveprot).
 */
export class Reservations {
  readonly #layout: CgroupLayout;
  /** In the order of FILES, by path below the mount point; so that nobody has to read what all the others have. */
  readonly #reserved = new Map<string, readonly (bigint | 'max' | undefined)[]>();

  constructor(layout: CgroupLayout) {
    this.#layout = layout;
  }

  /**
   * A container's group has begun, was found again, or has other limits now.
   * @param group - below the mount point.
   * @param top - the last one above it that is written.
   * @throws the errors of node:fs, but for groups that are gone.
   */
  note(group: string, top: string): void {
    if (this.#layout.kind !== 'v2') return;
    const folder = `${this.#layout.unified}${group}`;
    this.#reserved.set(
      group,
      FILES.map((file) => reserved(`${folder}/${file}`)),
    );
    this.#pass(group, top);
  }

  /** It is over. @throws as {@link note}. */
  forget(group: string, top: string): void {
    if (this.#reserved.delete(group)) this.#pass(group, top);
  }

  #pass(group: string, top: string): void {
    for (let path = posix.dirname(group); path.startsWith(top); path = posix.dirname(path)) {
      const below = [...this.#reserved].filter(([other]) => other.startsWith(`${path}/`));
      for (const [index, name] of FILES.entries()) {
        const file = `${this.#layout.unified}${path}/${name}`;
        const wanted = sum(below.map(([, values]) => values[index]));
        const has = reserved(file);
        if (has !== undefined && has !== wanted) writeFileSync(file, String(wanted));
      }
    }
  }
}

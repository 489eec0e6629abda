/**
 * Freezing of everything that is in a container's group, and letting it go on: by the v1 controller where it is
 * mounted, else by the group's own file of cgroup v2. The group says itself how it stands.
 * Source: kernel documentation, cgroup-v1/freezer-subsystem.rst and cgroup-v2.rst, "cgroup.freeze".
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { cannot } from '../model/error.ts';
import { hierarchyOf } from './layout.ts';
import type { CgroupPlace } from './limits.ts';

/** How long processes may take to freeze; one that hangs in the kernel freezes when it comes back. */
const FREEZE_DEADLINE_MS = 10_000;
/** After so many looks it is thawed and frozen anew. */
const AGAIN_EVERY = 25;

type Freezing = 'thawed' | 'freezing' | 'frozen';

/** The file that is written, and what it takes. */
interface Freezer {
  readonly file: string;
  readonly freeze: string;
  readonly thaw: string;
  readonly state: () => Freezing;
  /** A process that forks all the time can outrun it: thawed and frozen anew it is caught. */
  readonly canBeOutrun: boolean;
}

function freezerOf({ layout, path }: CgroupPlace): Freezer {
  const mount = hierarchyOf(layout, 'freezer');
  if (mount !== undefined) {
    const file = `${mount}${path}/freezer.state`;
    const state = (): Freezing => {
      const text = readFileSync(file, 'utf8').trim();
      return text === 'FROZEN' ? 'frozen' : text === 'FREEZING' ? 'freezing' : 'thawed';
    };
    return { file, freeze: 'FROZEN', thaw: 'THAWED', state, canBeOutrun: true };
  }
  if (layout.unified === undefined)
    throw cannot('failed-precondition', 'freeze', 'cgroup', path, 'this machine has no freezer', {
      reason: 'CGROUP_CONTROLLER_MISSING',
      hint: 'mount the v1 controller freezer, or cgroup2',
    });
  const folder = `${layout.unified}${path}`;
  const state = (): Freezing => {
    if (/^frozen 1$/m.test(readFileSync(`${folder}/cgroup.events`, 'utf8'))) return 'frozen';
    return readFileSync(`${folder}/cgroup.freeze`, 'utf8').trim() === '1' ? 'freezing' : 'thawed';
  };
  return { file: `${folder}/cgroup.freeze`, freeze: '1', thaw: '0', state, canBeOutrun: false };
}

const isGone = (error: unknown): boolean => {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENODEV';
};

/**
 * @returns when everything is frozen; false where the group is gone.
 * @throws MydockerError `deadline-exceeded` when something does not freeze; it goes on then.
 */
export async function freeze(place: CgroupPlace): Promise<boolean> {
  const { file, freeze: order, thaw: release, state, canBeOutrun } = freezerOf(place);
  const end = Date.now() + FREEZE_DEADLINE_MS;
  try {
    writeFileSync(file, order, { flag: 'r+' });
    for (let tries = 1; state() !== 'frozen'; tries += 1) {
      if (Date.now() > end) {
        writeFileSync(file, release, { flag: 'r+' });
        throw cannot('deadline-exceeded', 'freeze', 'cgroup', place.path, 'a process in it does not freeze', {
          reason: 'NOT_FREEZABLE',
          hint: 'it hangs in the kernel, mostly on a file system that does not answer',
        });
      }
      if (canBeOutrun) {
        if (tries % AGAIN_EVERY === 0) writeFileSync(file, release, { flag: 'r+' });
        writeFileSync(file, order, { flag: 'r+' });
      }
      await sleep(tries < AGAIN_EVERY ? 1 : 10);
    }
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

/** Lets everything go on; a group that is gone, or was not frozen, is no error. */
export function thaw(place: CgroupPlace): void {
  try {
    const { file, thaw: release } = freezerOf(place);
    writeFileSync(file, release, { flag: 'r+' });
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** How a group stands; one that is gone, or cannot be frozen here, is thawed. */
export function freezing(place: CgroupPlace): Freezing {
  try {
    return freezerOf(place).state();
  } catch {
    return 'thawed';
  }
}

/**
 * Folders that nobody can name any more, and that an archive or a container has shaped: moved to one place,
 * `removing/`, and removed there by one worker that goes on until the place is empty, whatever comes meanwhile.
 * A process for each would cost more than the removal; an image of 127 layers has 127.
 *
 * A death leaves what is in the place, and `resume` begins again.
 */
import { closeSync, openSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, rmdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { internal } from '../model/error.ts';
import type { Logger } from '../model/logger.ts';
import type { LaunchWorker } from '../model/worker.ts';
import { runRemoveTrees } from './run-worker.ts';

export interface Removals {
  /** Makes the place. */
  prepare(): Promise<void>;
  /** Takes a folder out of sight, and removes it behind the caller; absent is fine. */
  take(path: string): Promise<void>;
  /** As {@link run}, but a failure goes to the log. */
  discard(path: string): Promise<void>;
  /**
   * Removes a folder and waits for it; absent is fine.
   * @throws MydockerError `internal` when some of it stays.
   */
  run(path: string): Promise<void>;
  /** Goes on with what is in the place. @returns its names. */
  resume(): Promise<string[]>;
  /** Resolves when nothing is being removed any more. */
  idle(): Promise<void>;
}

/**
 * @param root - the server's root folder; everything to be removed is on its file system.
 * @param launch - starts workers.
 */
export function createRemovals(root: string, launch: LaunchWorker, log: Logger): Removals {
  const place = join(root, 'removing');
  const running = new Set<Promise<void>>();
  let emptying: Promise<readonly string[]> | undefined;
  let numbers = 0;

  /** @returns the name that it has now; undefined when it is gone already. */
  const moveAway = async (path: string): Promise<string | undefined> => {
    // Most folders that are removed after a failure are empty, and need no process.
    if (await removeEmpty(path)) return undefined;
    for (;;) {
      numbers += 1;
      const name = `${basename(path).replace(/^\.+/, '')}-${numbers}`;
      try {
        await rename(path, join(place, name));
        return name;
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return undefined;
        // The name is one that an earlier server has given.
        if (codeOf(error) !== 'ENOTEMPTY' && codeOf(error) !== 'EEXIST') throw error;
      }
    }
  };

  const empty = async (): Promise<readonly string[]> => {
    // Whoever removes many moves them all first.
    await setImmediate();
    const directoryFd = openSync(place, 'r');
    try {
      return (await runRemoveTrees({ directoryFd, launch })).failed;
    } finally {
      closeSync(directoryFd);
    }
  };

  /** @returns whether a name is gone, once a worker has seen it. */
  const isRemoved = async (name: string): Promise<boolean> => {
    // The one that runs may have looked for the last time when the name came; the one after it sees it.
    for (let workers = 0; workers < 2; workers += 1) {
      emptying ??= empty().finally(() => {
        emptying = undefined;
      });
      const failed = await emptying;
      if (!(await readdir(place)).includes(name)) return true;
      if (failed.includes(name)) return false;
    }
    return false;
  };

  const background = (work: Promise<void>, path: string): Promise<void> => {
    const removal = work
      .catch((err: unknown) => log.error({ err, path }, 'a folder could not be removed'))
      .finally(() => running.delete(removal));
    running.add(removal);
    return removal;
  };

  const finish = async (name: string): Promise<void> => {
    if (await isRemoved(name)) return;
    throw internal(`cannot remove folder ${join(place, name)}: some of it stays`, {
      reason: 'WORKER_FAILED',
      hint: 'it may hold an immutable file or a mount; the next start tries again',
    });
  };

  const run = async (path: string): Promise<void> => {
    const name = await moveAway(path);
    if (name !== undefined) await finish(name);
  };

  return {
    prepare: async () => {
      await mkdir(place, { recursive: true, mode: 0o700 });
      await chmod(place, 0o700);
    },
    take: async (path) => {
      const name = await moveAway(path);
      if (name !== undefined) void background(finish(name), path);
    },
    discard: (path) => background(run(path), path),
    run,
    resume: async () => {
      const names = await readdir(place);
      for (const name of names) void background(finish(name), join(place, name));
      return names;
    },
    idle: async () => {
      while (running.size > 0) await Promise.all(running);
    },
  };
}

/** @returns whether it is gone. */
async function removeEmpty(path: string): Promise<boolean> {
  try {
    await rmdir(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return true;
    if (codeOf(error) === 'ENOTEMPTY') return false;
    throw error;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

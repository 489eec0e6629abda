/** `--cidfile`: the id of a new container in a file that was not there before. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { UsageError } from './usage-error.ts';

/** A file that waits for an id. */
export interface CidFile {
  write(id: string): void;
  /** No container came of it. */
  remove(): void;
}

/**
 * Makes the file, so that of two who want it one goes on.
 * @throws UsageError when it is there already or cannot be made.
 */
export function openCidFile(path: string): CidFile {
  const fd = create(path);
  return {
    write: (id) => {
      writeSync(fd, id);
      closeSync(fd);
    },
    remove: () => {
      closeSync(fd);
      rmSync(path, { force: true });
    },
  };
}

function create(path: string): number {
  try {
    return openSync(path, 'wx', 0o644);
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code;
    if (errno !== 'EEXIST') throw new UsageError(`cannot make ${path}: ${errno ?? error}`);
    throw new UsageError(`the file ${path} exists already`, {
      hint: 'another container may have it; remove it, or name another one',
    });
  }
}

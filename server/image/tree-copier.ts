/** The server's side of a copy: a worker at a time for each, and only so many at once. */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import type { LaunchWorker } from '../model/worker.ts';
import { COPY_NAME } from './copy-job.ts';
import { type FillPlace, runCopyTree, runFillTree, type WorkerTarget } from './run-worker.ts';

/** Copies under way at a time; each is a process, and all share one disk. */
const MAX_COPIES = 4;

/** What to copy where to. */
export interface TreeCopy {
  /** Folders of which the merged view is copied, the topmost first; at least one. Nobody changes them meanwhile. */
  readonly sources: readonly string[];
  /** Made where missing, emptied first; whoever wants the copy renames it away and removes the folder. */
  readonly workFolder: string;
  /** Kills the worker. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Copies a tree with everything that its files are, durably.
 * @returns path of the copy, below the work folder.
 * @throws MydockerError `resource-exhausted` for a full disk, `internal`; the signal's reason.
 */
export type CopyTree = (copy: TreeCopy) => Promise<string>;

/** What to fill with what. */
export interface TreeFill {
  /** As of {@link TreeCopy}. */
  readonly sources: readonly string[];
  /** A directory stays the caller's to close. Where something is in it, it stays as it is. */
  readonly place: FillPlace;
  /** Kills the worker; the next fill undoes this one or goes on with it. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Fills an empty directory where it is, durably.
 * @throws MydockerError as {@link CopyTree}.
 */
export type FillTree = (fill: TreeFill) => Promise<void>;

/** Both ways to copy; they wait for each other. */
export interface TreeCopier {
  readonly copyTree: CopyTree;
  readonly fillTree: FillTree;
}

/** @param launch - starts workers. */
export function createTreeCopier(launch: LaunchWorker): TreeCopier {
  const inTurn = turns();
  const how = (signal: AbortSignal | undefined): Omit<WorkerTarget, 'directoryFd'> => ({
    launch,
    ...(signal === undefined ? {} : { signal }),
  });
  return {
    copyTree: ({ sources, workFolder, signal }) =>
      inTurn(async () => {
        mkdirSync(workFolder, { recursive: true, mode: 0o700 });
        const directoryFd = openSync(workFolder, 'r');
        try {
          await runCopyTree({ ...how(signal), directoryFd }, sources);
        } finally {
          closeSync(directoryFd);
        }
        return `${workFolder}/${COPY_NAME}`;
      }),
    fillTree: ({ sources, place, signal }) => inTurn(() => runFillTree({ ...how(signal), place }, sources)),
  };
}

function turns(): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = MAX_COPIES;
  return async (work) => {
    if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    else free -= 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}

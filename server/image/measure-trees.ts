/** Measures trees without making the server wait: in a thread, one measurement after the other. */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { internal } from '../model/error.ts';
import type { TreeSize } from './tree-size.ts';

/** The thread's code beside this file, `.ts` in the sources and `.js` when published. */
const PROGRAM = join(
  import.meta.dirname,
  `measure-thread${import.meta.filename.slice(import.meta.filename.lastIndexOf('.'))}`,
);

/** Names of directories that wait, and files of several names, in a tree of millions. */
const MEMORY_LIMIT_MB = 256;

let last: Promise<unknown> = Promise.resolve();

/**
 * Sizes of trees and files, in order; zero for what is not there.
 * @param paths - absolute; folders that only root can reach.
 * @param signal - ends it.
 * @throws the signal's reason; MydockerError `internal` for a tree that cannot be read.
 */
export function measureTrees(paths: readonly string[], signal?: AbortSignal): Promise<readonly TreeSize[]> {
  const measured = last.then(() => measure(paths, signal));
  last = measured.catch(() => undefined);
  return measured;
}

async function measure(
  paths: readonly string[],
  signal: AbortSignal | undefined,
): Promise<readonly TreeSize[]> {
  signal?.throwIfAborted();
  if (paths.length === 0) return [];
  const worker = new Worker(PROGRAM, {
    workerData: paths,
    // Its descriptors come from calls that Node does not see.
    trackUnmanagedFds: false,
    resourceLimits: { maxOldGenerationSizeMb: MEMORY_LIMIT_MB },
  });
  const end = (): void => void worker.terminate();
  signal?.addEventListener('abort', end);
  const sizes: TreeSize[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      worker.on('message', (size: TreeSize) => sizes.push(size));
      worker.once('error', reject);
      worker.once('exit', () => resolve());
    });
  } catch (cause) {
    throw internal('cannot measure disk usage: a tree cannot be read', { cause });
  } finally {
    signal?.removeEventListener('abort', end);
  }
  signal?.throwIfAborted();
  if (sizes.length === paths.length) return sizes;
  throw internal('cannot measure disk usage: the measurement ended early');
}

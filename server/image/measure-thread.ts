/**
 * Runs as a thread of its own: trees are measured with calls that block, which the server must not wait for.
 * Gets a list of paths, posts the size of each as it has it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { treeSize } from './tree-size.ts';

for (const path of workerData as readonly string[]) parentPort?.postMessage(treeSize(path));

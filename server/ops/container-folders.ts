/** The folders that a container keeps its changes and its log in. */
import { mkdirSync } from 'node:fs';
import type { ContainerRecord } from '../model/container.ts';
import { cannot, MydockerError } from '../model/error.ts';
import { unsupported } from '../snapshot/drivers.ts';
import { containerFolder, type Engine, snapshotterOf } from './engine.ts';

/** Makes what is missing: at create, and at a start what a power cut has taken since. */
export function makeFolders(engine: Engine, folder: string, { config, layers }: ContainerRecord): void {
  mkdirSync(`${folder}/logs`, { recursive: true, mode: 0o700 });
  if (config.rootfs.kind === 'image') snapshotterOf(engine, config).prepare(folder, layers);
}

/**
 * Does what the storage driver has left for the first start.
 * @param signal - ends it.
 * @throws MydockerError `resource-exhausted` for a full disk, `failed-precondition` for a driver that this root
 * cannot carry any more.
 */
export async function completeRootfs(
  engine: Engine,
  { id, name, config, layers }: ContainerRecord,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (config.rootfs.kind === 'directory') return;
  const { storageDriver = 'overlay' } = config;
  const { working, backing } = engine.storage;
  if (!working.includes(storageDriver)) throw unsupported(storageDriver, working, backing, engine.paths.root);
  try {
    await snapshotterOf(engine, config).complete(containerFolder(engine.paths, id), layers, signal);
  } catch (error) {
    if (!(error instanceof MydockerError) || signal?.aborted) throw error;
    const { code, reason, hint = 'see the log of the server' } = error;
    const full = code === 'resource-exhausted';
    const why = full ? 'no space left on the disk' : `copy its root filesystem: ${error.message}`;
    throw cannot(code, 'start', 'container', name, why, { reason, hint, exitStatus: 125, cause: error });
  }
}

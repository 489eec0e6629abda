/** The folders that a container keeps its changes and its log in. */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeFileSync } from 'node:fs';
import type { ContainerRecord } from '../model/container.ts';
import { cannot, MydockerError } from '../model/error.ts';
import { unsupported } from '../snapshot/drivers.ts';
import { encodeJson } from '../store/codec.ts';
import { discardFolder } from './discard-folder.ts';
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
  const folder = containerFolder(engine.paths, id);
  try {
    await snapshotterOf(engine, config).complete(folder, layers, signal);
  } catch (error) {
    discardCopy(engine, `${folder}/copy`, `${engine.paths.root}/containers`);
    if (!(error instanceof MydockerError) || signal?.aborted) throw error;
    const { code, reason, hint = 'see the log of the server' } = error;
    const full = code === 'resource-exhausted';
    const why = full ? 'no space left on the disk' : `copy its root filesystem: ${error.message}`;
    throw cannot(code, 'start', 'container', name, why, { reason, hint, exitStatus: 125, cause: error });
  }
}

/**
 * Half a copy goes behind; a start meanwhile makes its own.
 * @param below - where it is put out of sight: a folder whose sweep knows such names.
 */
export function discardCopy(engine: Engine, workFolder: string, below: string): void {
  const away = `${below}/.rm-copy-${randomBytes(8).toString('hex')}`;
  try {
    renameSync(workFolder, away);
    discardFolder(engine, away);
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') return;
    engine.log.error({ err, path: workFolder }, 'half a copy stays until the next start of its container');
  }
}

/** Puts another copy of the record in the place of the one beside the container's files, durably. */
export function writeConfig(folder: string, record: ContainerRecord): void {
  const temporary = `${folder}/.tmp-config.json`;
  writeFileSync(temporary, encodeJson(record), { mode: 0o600, flush: true });
  renameSync(temporary, `${folder}/config.json`);
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

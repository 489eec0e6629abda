/**
 * The volumes of a container: recorded with it, filled at its first start with what its image has there, kept
 * when it stops, and removed with it where that was asked for. A record that a death took comes back from the
 * container that names it.
 *
 *   volumes/<name>/data          what is mounted; complete or not there
 *   volumes/<name>/copy/         is filled by a worker, or was when the server died
 *   volumes/.rm-<name>/          taken out of sight, then deleted behind
 */
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { failpoint } from '../failpoint.ts';
import { syncFolder } from '../image/sync-folder.ts';
import type { ContainerConfig, ContainerRecord, VolumeMount } from '../model/container.ts';
import { cannot, MydockerError } from '../model/error.ts';
import { isAnonymousVolume } from '../model/volume.ts';
import { findMergedDirectory, type MergedDirectory } from '../snapshot/lookup.ts';
import { discardCopy } from './container-folders.ts';
import { discardFolder } from './discard-folder.ts';
import { type Engine, type Paths, snapshotterOf } from './engine.ts';

const ABSENT = { uid: 0, gid: 0, mode: 0o755 } as const;

export const volumesFolder = (paths: Paths): string => `${paths.root}/volumes`;
/** Everything of a volume. */
export const volumeFolder = (paths: Paths, name: string): string => `${volumesFolder(paths)}/${name}`;

/** What is mounted of a volume. */
export const volumeData = (paths: Paths, name: string): string => `${volumeFolder(paths, name)}/data`;

/** The container's mounts with its volumes among them, as paths of the host. */
export function hostMounts(
  paths: Paths,
  { mounts, volumes = [] }: ContainerConfig,
): ContainerConfig['mounts'] {
  const own = volumes.map(({ volume, destination, readOnly }) => ({
    source: volumeData(paths, volume),
    destination,
    readOnly,
  }));
  return [...mounts, ...own];
}

/** Records the volumes of a container that have no record; not synced, since the container's record names them. */
export async function recordVolumes(engine: Engine, { config }: ContainerRecord): Promise<void> {
  const { volumes } = engine.store;
  const missing = (config.volumes ?? []).filter(({ volume }) => volumes.get(volume) === undefined);
  const stored = { v: 1, rev: 0n, createdAt: 0n, updatedAt: 0n, labels: {} } as const;
  const puts = missing.map(({ volume: name }) =>
    volumes.put({ ...stored, name, anonymous: isAnonymousVolume(name) }, { sync: false }),
  );
  await Promise.all(puts);
}

/** Fills under way, by volume: two containers may begin with the same one. */
const filling = new Map<string, Promise<void>>();

/**
 * Makes what a start mounts: volumes that are not there yet get what the image has at their place.
 * @param signal - ends it.
 * @throws MydockerError `invalid-argument` where the image has a file there, `resource-exhausted` for a full disk.
 */
export async function fillVolumes(
  engine: Engine,
  record: ContainerRecord,
  signal: AbortSignal | undefined,
): Promise<void> {
  const volumes = record.config.volumes ?? [];
  if (volumes.length === 0) return;
  await recordVolumes(engine, record);
  for (const volume of volumes) {
    for (let busy = filling.get(volume.volume); busy !== undefined; busy = filling.get(volume.volume))
      await busy.catch(() => undefined);
    if (existsSync(volumeData(engine.paths, volume.volume))) continue;
    const filled = fill(engine, record, volume, signal).finally(() => filling.delete(volume.volume));
    filling.set(volume.volume, filled);
    await filled;
  }
}

async function fill(
  engine: Engine,
  record: ContainerRecord,
  { volume, destination, noCopy }: VolumeMount,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { paths } = engine;
  const folder = volumeFolder(paths, volume);
  const workFolder = `${folder}/copy`;
  try {
    const source = noCopy === true ? undefined : sourceOf(engine, record, destination);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const tree =
      source === undefined || source.isBare || record.config.rootfs.kind === 'directory'
        ? makeEmpty(workFolder, source ?? ABSENT)
        : await engine.copyTree({ sources: source.folders, workFolder, signal });
    await failpoint('volume.filled');
    renameSync(tree, volumeData(paths, volume));
    rmSync(workFolder, { recursive: true, force: true });
    // Lasts before the first that is written into it does.
    await syncFolder(folder);
    await syncFolder(volumesFolder(paths));
  } catch (error) {
    discardCopy(engine, workFolder, volumesFolder(paths));
    throw volumeError(record.name, destination, error);
  }
}

/** What a container would find there; a rootfs directory is not copied, somebody may be changing it. */
function sourceOf(engine: Engine, record: ContainerRecord, destination: string): MergedDirectory | undefined {
  const { config, layers } = record;
  return config.rootfs.kind === 'directory'
    ? findMergedDirectory([config.rootfs.path], destination)
    : snapshotterOf(engine, config).findDirectory(layers, destination);
}

function makeEmpty(
  workFolder: string,
  { uid, gid, mode }: Pick<MergedDirectory, 'uid' | 'gid' | 'mode'>,
): string {
  const tree = `${workFolder}/tree`;
  rmSync(workFolder, { recursive: true, force: true });
  mkdirSync(tree, { recursive: true, mode: 0o700 });
  chownSync(tree, uid, gid);
  chmodSync(tree, mode);
  return tree;
}

function volumeError(name: string, destination: string, error: unknown): unknown {
  const errno = (error as NodeJS.ErrnoException).code;
  const details = { exitStatus: 125, cause: error } as const;
  if (errno === 'ENOSPC' || errno === 'EDQUOT' || errno === 'resource-exhausted')
    return cannot('resource-exhausted', 'start', 'container', name, 'no space left on the disk', {
      ...details,
      reason: 'NO_SPACE',
      hint: 'remove containers and images that are not needed',
    });
  if (!(error instanceof MydockerError)) return error;
  const { code, reason, message } = error;
  return cannot(code, 'start', 'container', name, `fill the volume at ${destination}: ${message}`, {
    ...details,
    reason,
  });
}

/** Anonymous volumes that go with a container: nobody else mounts them. */
export function ownVolumes(engine: Engine, { id, config }: ContainerRecord): string[] {
  const others = new Set(
    engine.store.containers
      .list()
      .filter((other) => other.id !== id)
      .flatMap((other) => (other.config.volumes ?? []).map(({ volume }) => volume)),
  );
  return (config.volumes ?? [])
    .map(({ volume }) => volume)
    .filter((volume) => isAnonymousVolume(volume) && !others.has(volume));
}

/** Names of the volumes that containers have, running or not. */
export function usedVolumes({ containers }: Pick<Engine['store'], 'containers'>): Set<string> {
  return new Set(
    containers.list().flatMap(({ config }) => (config.volumes ?? []).map(({ volume }) => volume)),
  );
}

/** Takes the records of volumes away; before the record that names them, which would bring them back. */
export async function forgetVolumes(engine: Engine, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await Promise.all(names.map((name) => engine.store.volumes.delete(name, { sync: false })));
  await failpoint('volume.forgotten');
}

/** Deletes the data of volumes that have no record any more, behind the caller. */
export function discardVolumes(
  engine: Pick<Engine, 'paths' | 'layers' | 'log'>,
  names: readonly string[],
): void {
  for (const name of names) {
    const away = `${volumesFolder(engine.paths)}/.rm-${name}`;
    try {
      renameSync(volumeFolder(engine.paths, name), away);
      discardFolder(engine, away);
    } catch (err) {
      // One that was never started has no data.
      if ((err as NodeJS.ErrnoException).code === 'ENOENT') continue;
      engine.log.error({ err, volume: name }, 'the data of a removed volume stays until the next start');
    }
  }
}

/**
 * At start: records that a death took come back, folders that nothing names go. Nothing goes while metadata is
 * known to have been lost.
 */
export async function sweepVolumes(engine: Engine): Promise<void> {
  const { store, paths, log } = engine;
  for (const container of store.containers.list()) await recordVolumes(engine, container);
  for (const name of readdirSync(volumesFolder(paths))) {
    const unfinished = name.startsWith('.rm-');
    if (!unfinished && store.volumes.get(name) !== undefined) continue;
    if (unfinished) discardFolder(engine, `${volumesFolder(paths)}/${name}`);
    else if (store.openReport.damaged)
      log.warn({ volume: name }, 'a folder has no volume; it is kept, since metadata was lost');
    else discardVolumes(engine, [name]);
  }
}

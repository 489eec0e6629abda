/**
 * The volumes of a container: recorded with it, kept when it stops, and removed with it where they are its own and that
 * was asked for. A record that a death took comes back from the container that names it.
 */
import { existsSync, readdirSync, renameSync } from 'node:fs';
import { failpoint } from '../failpoint.ts';
import type { ContainerConfig, ContainerRecord } from '../model/container.ts';
import { MydockerError } from '../model/error.ts';
import { isAnonymousVolume, isVolumeName } from '../model/volume.ts';
import { discardFolder } from './discard-folder.ts';
import type { Engine } from './engine.ts';
import { volumeEvent } from './volume-event.ts';
import { readVolumeFile } from './volume-file.ts';
import { awayFolder, volumeData, volumeFolder, volumesFolder } from './volume-folders.ts';

/** Names of the volumes that a container has. */
export const volumeNames = ({ volumes = [] }: Pick<ContainerConfig, 'volumes'>): string[] => [
  ...new Set(volumes.map(({ volume }) => volume)),
];

/** Records the volumes of a container that have no record; not synced, since the container's record names them. */
export async function recordVolumes(engine: Engine, { config }: ContainerRecord): Promise<void> {
  for (const name of volumeNames(config)) await recordVolume(engine, name);
}

async function recordVolume({ store: { volumes }, paths }: Engine, name: string): Promise<void> {
  if (volumes.get(name) !== undefined) return;
  const stored = { v: 1, rev: 0n, createdAt: 0n, updatedAt: 0n } as const;
  const usual = { labels: {}, anonymous: isAnonymousVolume(name) };
  const record = { ...stored, name, ...(readVolumeFile(paths, name) ?? usual) };
  try {
    await volumes.put(record, { sync: false, event: volumeEvent(name, 'create') });
  } catch (error) {
    // Another container that names it came first.
    if (!(error instanceof MydockerError) || !['already-exists', 'aborted'].includes(error.code)) throw error;
  }
}

/** The containers that have a volume, running or not. */
export const containersWith = ({ store }: Pick<Engine, 'store'>, name: string): ContainerRecord[] =>
  store.containers
    .list()
    .filter(({ config }) => (config.volumes ?? []).some(({ volume }) => volume === name));

/** Names of the volumes that containers have, running or not. */
export function usedVolumes({ containers }: Pick<Engine['store'], 'containers'>): Set<string> {
  return new Set(containers.list().flatMap(({ config }) => volumeNames(config)));
}

/** Anonymous volumes that may go with a container: nobody gave them to it by name. */
export function ownVolumes({ config: { volumes = [] } }: ContainerRecord): string[] {
  return volumes
    .filter(({ volume, named }) => named !== true && isAnonymousVolume(volume))
    .map(({ volume }) => volume);
}

/**
 * Takes the records of volumes away that nobody but one container has; before its record, which would bring them back.
 * Called while nobody else changes them.
 * @returns those that are gone.
 */
export async function forgetVolumes(
  engine: Engine,
  names: readonly string[],
  container: string,
): Promise<string[]> {
  const gone = names.filter(
    (name) =>
      engine.heldVolumes.count(name) === 0 &&
      containersWith(engine, name).every(({ id }) => id === container),
  );
  if (gone.length === 0) return [];
  const remove = (name: string): Promise<unknown> =>
    engine.store.volumes.delete(name, { sync: false, event: volumeEvent(name, 'destroy') });
  await Promise.all(gone.map(remove));
  await failpoint('volume.forgotten');
  return gone;
}

/** Deletes the data of volumes that have no record any more, behind the caller. */
export function discardVolumes(
  engine: Pick<Engine, 'paths' | 'layers' | 'log'>,
  names: readonly string[],
): void {
  for (const name of names) {
    const away = awayFolder(engine.paths);
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
 * At start: records that a death took come back, folders that nothing names go. Nothing goes while metadata is known to
 * have been lost; what has data is a volume again then.
 */
export async function sweepVolumes(engine: Engine): Promise<void> {
  const { store, paths, log } = engine;
  for (const container of store.containers.list()) await recordVolumes(engine, container);
  for (const name of readdirSync(volumesFolder(paths))) {
    const unfinished = name.startsWith('.rm-');
    if (!unfinished && store.volumes.get(name) !== undefined) continue;
    if (unfinished) discardFolder(engine, `${volumesFolder(paths)}/${name}`);
    else if (!store.openReport.damaged) discardVolumes(engine, [name]);
    else if (isVolumeName(name) && (existsSync(volumeData(paths, name)) || readVolumeFile(paths, name))) {
      await recordVolume(engine, name);
      log.warn({ volume: name }, 'a volume came back from its folder, since metadata was lost');
    }
  }
}

/** Volumes by name: made, found, listed and removed by whoever asks, whatever containers there are. */
import { failpoint } from '../failpoint.ts';
import { alreadyExists, cannot, invalidArgument, notFound, quoteId } from '../model/error.ts';
import { shortId } from '../model/ids.ts';
import {
  isAnonymousVolume,
  newVolumeName,
  parseVolumeName,
  sameOptions,
  VOLUME_DRIVER,
  type VolumeRecord,
  volumeSource,
} from '../model/volume.ts';
import { containersWith, discardVolumes, usedVolumes } from './container-volumes.ts';
import type { Engine } from './engine.ts';
import { type LabelCondition, labelsMatch } from './list-containers.ts';
import { volumeEvent } from './volume-event.ts';
import { writeVolumeFile } from './volume-file.ts';

/** What to make. */
export interface CreateVolumeRequest {
  /** `''`: an anonymous one. */
  readonly name: string;
  /** `''`: local. */
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Makes a volume; its folder is made by the first start that mounts it.
 * @returns the one that is there already, where there is one; whatever it is, where no options are given.
 * @throws MydockerError `invalid-argument`; `already-exists` for one with other options.
 */
export async function createVolume(engine: Engine, request: CreateVolumeRequest): Promise<VolumeRecord> {
  const { driver, options, labels } = request;
  const name = request.name === '' ? newVolumeName() : parseVolumeName(request.name);
  if (driver !== '' && driver !== VOLUME_DRIVER)
    throw invalidArgument(`cannot create volume ${name}: there is no driver ${quoteId(driver)}`, {
      reason: 'VOLUME_DRIVER_UNKNOWN',
      hint: `the driver is ${VOLUME_DRIVER}`,
    });
  volumeSource(options);
  const { volumes } = engine.store;
  return await engine.queues.run('volume', name, async () => {
    const there = volumes.get(name);
    const isAny = Object.keys(options).length === 0;
    if (there !== undefined && !isAny && !sameOptions(there.options, options))
      throw alreadyExists('volume', name, 'it is there with other options', {
        reason: 'VOLUME_EXISTS',
        hint: `mydocker volume inspect ${name}`,
      });
    if (there !== undefined) return there;
    const stored = { v: 1, rev: 0n, createdAt: 0n, updatedAt: 0n } as const;
    const given = Object.keys(options).length === 0 ? {} : { options };
    const record = { ...stored, ...given, name, labels, anonymous: isAnonymousVolume(name) };
    await writeVolumeFile(engine.paths, record);
    await failpoint('volume.create');
    return await volumes.put(record, { event: volumeEvent(name, 'create') });
  });
}

/** @throws MydockerError `not-found`. */
export function findVolume({ store }: Pick<Engine, 'store'>, name: string): VolumeRecord {
  const record = store.volumes.get(name);
  if (record === undefined) throw notFound('volume', name);
  return record;
}

/** All conditions must hold; in a list of values one of them. */
export interface VolumeFilter {
  /** Parts of names. */
  readonly names: readonly string[];
  readonly drivers: readonly string[];
  readonly labels: readonly LabelCondition[];
  /** Whether no container has it; absent: whatever. */
  readonly unused?: boolean | undefined;
}

/** Volumes by name. */
export function listVolumes(engine: Pick<Engine, 'store'>, filter: VolumeFilter): VolumeRecord[] {
  const { names, drivers, labels, unused } = filter;
  const used = usedVolumes(engine.store);
  if (drivers.length > 0 && !drivers.includes(VOLUME_DRIVER)) return [];
  return engine.store.volumes
    .list()
    .filter(({ name }) => names.length === 0 || names.some((part) => name.includes(part)))
    .filter((volume) => labelsMatch(volume.labels, labels))
    .filter(({ name }) => unused === undefined || used.has(name) !== unused)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Removes a volume with its data.
 * @param force - one that is not there is no error.
 * @throws MydockerError `not-found`; `failed-precondition` while a container has it.
 */
export async function removeVolume(engine: Engine, name: string, force: boolean): Promise<void> {
  await engine.queues.run('volume', name, async () => {
    if (force && engine.store.volumes.get(name) === undefined) return;
    findVolume(engine, name);
    refuseUsed(engine, name);
    await removeUnused(engine, name);
  });
}

function refuseUsed(engine: Engine, name: string): void {
  const users = containersWith(engine, name);
  const [first] = users;
  const why =
    first === undefined
      ? 'a container that is being created has it'
      : `container ${users.map((user) => `${user.name} (${shortId(user.id)})`).join(', ')} has it`;
  if (first !== undefined || engine.heldVolumes.count(name) > 0)
    throw cannot('failed-precondition', 'remove', 'volume', name, why, {
      reason: 'VOLUME_IN_USE',
      hint: first === undefined ? 'try again' : `mydocker rm ${users.map((user) => user.name).join(' ')}`,
      metadata: { containers: users.map(({ id }) => id).join(' ') },
    });
}

/** Its record, durably, before its data. Called while nobody else changes it. */
export async function removeUnused(engine: Engine, name: string): Promise<void> {
  await engine.store.volumes.delete(name, { event: volumeEvent(name, 'destroy') });
  await failpoint('volume.removed');
  discardVolumes(engine, [name]);
}

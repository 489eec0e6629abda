/**
 * Volumes are begun with what the image has at their place: by the first start that mounts one, and by a later one that
 * finds it still empty. What is in a volume is never touched.
 */
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { failpoint } from '../failpoint.ts';
import { syncFolder } from '../image/sync-folder.ts';
import type { ContainerRecord, VolumeMount } from '../model/container.ts';
import { cannot, MydockerError } from '../model/error.ts';
import { isNoSpace, noSpace } from '../model/no-space.ts';
import { isAlive } from '../model/task-state.ts';
import { volumeSource } from '../model/volume.ts';
import { findMergedDirectory, type MergedDirectory } from '../snapshot/lookup.ts';
import { discardCopy } from './container-folders.ts';
import { containersWith, recordVolumes } from './container-volumes.ts';
import { type Engine, snapshotterOf } from './engine.ts';
import { fillFolder } from './fill-in-place.ts';
import { type Addresses, withAddress } from './server-addresses.ts';
import { volumeData, volumeFolder, volumesFolder } from './volume-folders.ts';

const ABSENT = { uid: 0, gid: 0, mode: 0o755 } as const;

/** Fills under way, by folder: two containers may begin with the same one. */
const filling = new Map<string, Promise<void>>();

/**
 * Makes what a start mounts: volumes that are not there yet, or empty, get what the image has at their place. Called
 * while the container holds its volumes.
 * @param addresses - of servers that volumes name.
 * @param signal - ends it.
 * @throws MydockerError `invalid-argument` where the image has a file there, `resource-exhausted` for a full disk.
 */
export async function fillVolumes(
  engine: Engine,
  record: ContainerRecord,
  addresses: Addresses,
  signal: AbortSignal | undefined,
): Promise<void> {
  const volumes = record.config.volumes ?? [];
  if (volumes.length === 0) return;
  await recordVolumes(engine, record);
  for (const volume of volumes) {
    const source = volumeSource(engine.store.volumes.get(volume.volume)?.options);
    if (source.kind === 'bind' && !source.readOnly) {
      const fill: Fill = (from) => fillFolder(engine, source.device, from, signal);
      await alone(source.device, () => fillElsewhere(engine, record, volume, fill));
    }
    // To look into it is to mount it: once for each container, as Docker does.
    if (source.kind === 'filesystem' && !source.options.includes('ro') && isFirst(record)) {
      const mount = withAddress({ ...source, destination: volume.destination }, addresses);
      const place = { filesystem: { mount, container: record.name } };
      const fill: Fill = ({ folders }) => engine.fillTree({ sources: folders, place, signal });
      await alone(`${source.type} ${source.device}`, () => fillElsewhere(engine, record, volume, fill));
    }
    if (source.kind !== 'folder') continue;
    const folder = volumeFolder(engine.paths, volume.volume);
    await alone(folder, async () => {
      if (isWanted(engine, volume)) await fill(engine, record, volume, signal);
    });
  }
}

/** While nobody else fills that folder. */
async function alone(folder: string, work: () => Promise<void>): Promise<void> {
  for (let busy = filling.get(folder); busy !== undefined; busy = filling.get(folder))
    await busy.catch(() => undefined);
  const done = work().finally(() => filling.delete(folder));
  filling.set(folder, done);
  await done;
}

type Fill = (source: MergedDirectory) => Promise<void>;

const isFirst = ({ run, exit }: ContainerRecord): boolean => run === undefined && exit === undefined;

/** What the user keeps somewhere else; others may have it mounted. */
async function fillElsewhere(
  engine: Engine,
  record: ContainerRecord,
  { destination, noCopy, subpath }: VolumeMount,
  fill: Fill,
): Promise<void> {
  if (noCopy === true || subpath !== undefined || record.config.rootfs.kind === 'directory') return;
  try {
    const source = sourceOf(engine, record, destination);
    if (source === undefined) return;
    await fill(source);
    await failpoint('volume.filled');
  } catch (error) {
    throw volumeError(record.name, destination, error, 'nocopy leaves out what the image has there');
  }
}

/** An empty one is replaced whole, so that nobody else may have it mounted, or be about to. */
function isWanted(engine: Engine, { volume, noCopy }: VolumeMount): boolean {
  const data = volumeData(engine.paths, volume);
  if (!existsSync(data)) return true;
  if (noCopy === true || readdirSync(data).length > 0) return false;
  return (
    engine.heldVolumes.count(volume) <= 1 &&
    containersWith(engine, volume).every(({ status }) => !isAlive(status))
  );
}

async function fill(
  engine: Engine,
  record: ContainerRecord,
  { volume, destination, noCopy, subpath }: VolumeMount,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { paths } = engine;
  const folder = volumeFolder(paths, volume);
  const data = volumeData(paths, volume);
  const workFolder = `${folder}/copy`;
  try {
    // What the image has there is the beginning of a part, not of the whole.
    const source =
      noCopy === true || subpath !== undefined ? undefined : sourceOf(engine, record, destination);
    const isThere = existsSync(data);
    const isBare = source === undefined || source.isBare || record.config.rootfs.kind === 'directory';
    if (isThere && isBare) return;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const tree = isBare
      ? makeEmpty(workFolder, source ?? ABSENT)
      : await engine.copyTree({ sources: source.folders, workFolder, signal });
    await failpoint('volume.filled');
    place(tree, data);
    rmSync(workFolder, { recursive: true, force: true });
    // Lasts before the first that is written into it does.
    await syncFolder(folder);
    await syncFolder(volumesFolder(paths));
  } catch (error) {
    discardCopy(engine, workFolder, volumesFolder(paths));
    throw volumeError(record.name, destination, error);
  }
}

/** In the place of an empty folder at most: rename(2) replaces no other. */
function place(tree: string, data: string): void {
  try {
    renameSync(tree, data);
  } catch (error) {
    // Somebody put something into it by hand meanwhile, which stays.
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
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

function volumeError(name: string, destination: string, error: unknown, hint?: string): unknown {
  const details = { exitStatus: 125, cause: error, ...(hint === undefined ? {} : { hint }) } as const;
  if (isNoSpace(error)) return noSpace('start', 'container', name, details);
  // What cannot be mounted for a fill is told as if the container's own mount had failed.
  if (!(error instanceof MydockerError) || error.reason === 'LAUNCH_FAILED') return error;
  if (error.code === 'resource-exhausted') return noSpace('start', 'container', name, details);
  const { code, reason, message } = error;
  return cannot(code, 'start', 'container', name, `fill the volume at ${destination}: ${message}`, {
    ...details,
    reason,
  });
}

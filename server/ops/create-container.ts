/**
 * How a container comes to be: metadata and empty folders, nothing mounted, nothing run. Its folders are made
 * before its record is; a crash in between leaves a folder that no record names, which the next start of the
 * server sweeps.
 */
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { tryLimits } from '../cgroup/apply-limits.ts';
import { allowances } from '../cgroup/devices.ts';
import { requireDevices } from '../cgroup/limits.ts';
import { failpoint } from '../failpoint.ts';
import type { ContainerConfig, ContainerRecord, RootfsSource } from '../model/container.ts';
import { cannot, notFound } from '../model/error.ts';
import { newId, shortId } from '../model/ids.ts';
import { parseName, randomName } from '../model/name.ts';
import type { Attachment } from '../model/network.ts';
import { isNoSpace, noSpace } from '../model/no-space.ts';
import { nowNs } from '../model/time.ts';
import { UndoStack } from '../model/undo.ts';
import { parseStorageDriver, unsupported } from '../snapshot/drivers.ts';
import { encodeJson } from '../store/codec.ts';
import { checkConfig } from './check-config.ts';
import { checkPortsAndNetwork } from './check-ports.ts';
import { hostCpus } from './check-resources.ts';
import { containerEvent } from './container-event.ts';
import { makeFolders } from './container-folders.ts';
import { type ContainerOptions, type Merged, mergeOptions } from './container-options.ts';
import { takePlaces } from './container-places.ts';
import { cgroupParentOf } from './container-scope.ts';
import { recordVolumes, volumeNames } from './container-volumes.ts';
import { findNetwork } from './default-network.ts';
import { containerFolder, type Engine, trialGroup } from './engine.ts';
import { findImage } from './image-engine.ts';
import { lookUpUser } from './look-up-user.ts';
import { volumesToMake } from './merge-mounts.ts';
import { findShared, usualHostname } from './shared-namespaces.ts';
import { createVolume } from './volumes.ts';
import { volumesFrom } from './volumes-from.ts';
import { portWarnings } from './watch-networks.ts';

export interface CreateRequest {
  /** `''`: one is made up. */
  readonly name: string;
  readonly options: ContainerOptions;
}

export interface CreateResult {
  readonly record: ContainerRecord;
  /** What the client may not expect, in sentences. */
  readonly warnings: readonly string[];
}

/** A container as it would be created. */
export interface PlannedContainer extends Merged {
  readonly id: string;
  /** Serials, topmost first. */
  readonly layers: readonly bigint[];
  /** Where it is to stand. */
  readonly attachments: readonly Attachment[];
}

/**
 * Records a container.
 * @throws MydockerError `not-found` for an image that is not here, `invalid-argument`, `already-exists` for
 * a name that is taken, `resource-exhausted` for a full disk.
 */
export async function createContainer(engine: Engine, request: CreateRequest): Promise<CreateResult> {
  const { containers } = engine.store;
  await failpoint('create.begin');
  // Mostly it is started at once.
  engine.cgroups.warmJoins();
  // 1. Everything is decided before anything is touched.
  const { id, config, layers, warnings, attachments } = await planContainer(engine, request.options);
  const name =
    request.name === '' ? randomName((taken) => containers.isNameTaken(taken)) : parseName(request.name);
  // 2. Of two who want the name, or an address, one goes on from here.
  using _reserved = containers.reserveName(name, id);
  using places = await takePlaces(engine, { config }, attachments);
  // Nobody removes a volume from here on.
  using _volumes = await engine.heldVolumes.hold(volumeNames(config));
  // What is taken over from a container that is gone may be gone with it.
  volumesFrom(engine, config.volumesFrom ?? []);
  await using undo = new UndoStack((label, err) => engine.log.error({ err, container: id }, label));
  // They outlive a create that fails, as with Docker.
  for (const volume of volumesToMake(request.options, config)) await createVolume(engine, volume);
  const now = nowNs();
  const record = {
    v: 1,
    rev: 0n,
    createdAt: now,
    updatedAt: now,
    id,
    name,
    config,
    layers,
    ...(places.endpoints === undefined ? {} : { endpoints: places.endpoints }),
    status: 'created',
  } as const;
  // 3. Folders and config.json.
  const folder = containerFolder(engine.paths, id);
  undo.push(`remove folder of container ${id}`, () => rmSync(folder, { recursive: true, force: true }));
  try {
    makeFolders(engine, folder, record);
    await failpoint('create.folder');
    writeConfig(folder, record);
  } catch (cause) {
    throw diskError(name, cause);
  }
  await failpoint('create.config');
  // 4. The record makes it a container.
  const stored = await put(engine, record);
  undo.commit();
  // The container names them, so that its start makes what is missing.
  await recordVolumes(engine, stored).catch((err: unknown) =>
    engine.log.error({ err, container: id }, 'the volumes of a container are not recorded yet'),
  );
  await failpoint('create.done');
  return { record: stored, warnings };
}

/**
 * The container that these options would make, without making it.
 * @throws MydockerError as {@link createContainer}.
 */
export async function planContainer(engine: Engine, options: ContainerOptions): Promise<PlannedContainer> {
  const { attachments = [] } = options;
  // Before what takes longer.
  for (const { network } of attachments) await findNetwork(engine, network);
  const id = newId();
  const image = options.rootfs.kind === 'image' ? findImage(engine, options.rootfs.reference) : undefined;
  const rootfs: RootfsSource =
    options.rootfs.kind === 'image'
      ? { kind: 'image', imageId: image?.id ?? '', reference: options.rootfs.reference }
      : options.rootfs;
  const namespaces = findShared(engine, options);
  const cgroupParent = cgroupParentOf(engine, options.cgroupParent);
  const merged = mergeOptions(
    { ...options, cgroupParent },
    {
      rootfs,
      ...(image === undefined ? {} : { image: image.config }),
      hostname: usualHostname(engine, options, namespaces) ?? shortId(id),
      namespaces,
      inherited: volumesFrom(engine, options.volumesFrom ?? []),
      storageDriver:
        options.storageDriver === undefined
          ? engine.storage.driver
          : parseStorageDriver(options.storageDriver, engine.storage.working),
    },
  );
  checkConfig(merged.config, hostCpus(), engine.host);
  checkLimits(engine, id, merged.config);
  checkPortsAndNetwork(merged.config);
  checkStorageDriver(engine, merged.config);
  if (rootfs.kind === 'directory') checkRootfsDirectory(rootfs.path);
  const layers = image === undefined ? [] : image.layers.map((l) => l.serial).reverse();
  // Who is not in the image is not in it at the start either; the answer is kept for that.
  lookUpUser(engine, { id, config: merged.config, layers }, merged.config.user);
  const warnings = [...merged.warnings, ...portWarnings(engine, merged.config)];
  return { ...merged, warnings, id, layers, attachments };
}

/** What this kernel takes is known once it has been tried, beside the group that the container will have. */
function checkLimits(engine: Engine, id: string, config: ContainerConfig): void {
  const { resources, cgroupParent } = config;
  // For what a client asks for and cannot have.
  allowances(resources.deviceRules ?? []);
  const { layout, prepare, hold } = engine.cgroups;
  requireDevices(layout);
  if (Object.keys(resources).length === 0 && cgroupParent === undefined) return;
  const trial = trialGroup(engine, { id, config });
  // The start makes it again; until then it is nobody's.
  using _parent = hold(trial.parent);
  prepare(trial.parent);
  tryLimits({ layout, path: trial.path }, resources, cgroupParent !== undefined);
}

function checkStorageDriver({ storage, paths }: Engine, { storageDriver }: ContainerConfig): void {
  if (storageDriver !== undefined && !storage.working.includes(storageDriver))
    throw unsupported(storageDriver, storage.working, storage.backing, paths.root);
}

function checkRootfsDirectory(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
  throw cannot('invalid-argument', 'create', 'container', '', `the rootfs ${path} is not a directory`, {
    reason: 'ROOTFS_NOT_A_DIRECTORY',
    hint: 'unpack a root filesystem there first',
  });
}

/**
 * The record's copy beside the container's files. Not synced: what a power cut takes of these folders before the
 * record is durable belongs to no container, and a start makes again what is missing after it.
 */
function writeConfig(folder: string, record: ContainerRecord): void {
  writeFileSync(`${folder}/config.json`, encodeJson(record), { flag: 'wx', mode: 0o600 });
}

/** An image is not removed between the look at it and the record that uses it. */
async function put(engine: Engine, record: ContainerRecord): Promise<ContainerRecord> {
  const { rootfs } = record.config;
  const write = async (): Promise<ContainerRecord> => {
    await failpoint('create.put');
    return await engine.store.containers.put(record, { event: containerEvent(record, 'create') });
  };
  if (rootfs.kind === 'directory') return await write();
  return await engine.queues.run('image', rootfs.imageId, () => {
    const image = engine.store.images.get(rootfs.imageId);
    // One that came back meanwhile has other layers.
    const serials = new Set(image?.layers.map(({ serial }) => serial));
    if (image === undefined || !record.layers.every((serial) => serials.has(serial)))
      throw notFound('image', rootfs.reference);
    return write();
  });
}

function diskError(name: string, cause: unknown): Error {
  if (isNoSpace(cause)) return noSpace('create', 'container', name, { cause });
  return cause instanceof Error ? cause : new Error(String(cause));
}

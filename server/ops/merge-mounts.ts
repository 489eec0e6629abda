/** What is mounted into a container to be: what a client asks for, joined with the volumes that the image names. Pure. */
import { posix } from 'node:path';
import type { BindMount, ContainerConfig } from '../model/container.ts';
import type { IdMap } from '../model/id-map.ts';
import type { ImageConfig } from '../model/image.ts';
import { newVolumeName } from '../model/volume.ts';
import type { ContainerOptions } from './container-options.ts';
import type { CreateVolumeRequest } from './volumes.ts';
import type { Inherited } from './volumes-from.ts';

/** A volume that is asked for. */
export interface VolumeChoice {
  /** Absent: an anonymous one. */
  readonly name?: string;
  readonly destination: string;
  readonly readOnly: boolean;
  /** A new one stays empty. */
  readonly noCopy: boolean;
  /** Absent: the whole volume. */
  readonly subpath?: string;
  readonly idMap?: IdMap;
  /** What it is to be where it is not there yet. Absent: a folder of the server's. */
  readonly made?: Pick<CreateVolumeRequest, 'options' | 'labels'>;
}

/** A list that is there; an empty one is kept as none at all, as in records of before. */
export function present<K extends string, T>(
  key: K,
  list: readonly T[] = [],
): { readonly [P in K]?: readonly T[] } {
  return list.length === 0 ? {} : ({ [key]: list } as { readonly [P in K]: readonly T[] });
}

/** Without `.`, `..` and slashes that say nothing. */
export function normalPath(path: string): string {
  return posix.normalize(path).replace(/(?<=.)\/$/, '');
}

function normalMount(mount: BindMount): BindMount {
  return { ...mount, source: normalPath(mount.source), destination: normalPath(mount.destination) };
}

/** The volumes that are to be made before the container, each once. */
export function volumesToMake(
  options: ContainerOptions,
  { volumes = [] }: ContainerConfig,
): CreateVolumeRequest[] {
  return (options.volumes ?? []).flatMap(({ made, destination }) => {
    const mounted = volumes.find((mount) => mount.destination === normalPath(destination));
    return made === undefined || mounted === undefined ? [] : [{ ...made, driver: '', name: mounted.volume }];
  });
}

/**
 * What others have comes where nothing was asked for; each path that an image says is a volume gets one, unless something
 * else is mounted there.
 */
export function mergeMounts(
  options: ContainerOptions,
  image: ImageConfig,
  inherited: Inherited = { mounts: [], volumes: [] },
): Pick<ContainerConfig, 'mounts' | 'volumes' | 'volumesFrom' | 'tmpfs'> {
  const mounts = (options.mounts ?? []).map(normalMount);
  const given = (options.volumes ?? []).map(({ name, destination, readOnly, noCopy, subpath, idMap }) => ({
    ...(name === undefined ? { volume: newVolumeName() } : { volume: name, named: true }),
    destination: normalPath(destination),
    readOnly,
    ...(noCopy ? { noCopy } : {}),
    ...(subpath === undefined ? {} : { subpath }),
    ...(idMap === undefined ? {} : { idMap }),
  }));
  const tmpfs = (options.tmpfs ?? []).map((mount) => ({
    ...mount,
    destination: normalPath(mount.destination),
  }));
  const taken = new Set([...mounts, ...given, ...tmpfs].map(({ destination }) => destination));
  const free = ({ destination }: { readonly destination: string }): boolean => !taken.has(destination);
  const others = { mounts: inherited.mounts.filter(free), volumes: inherited.volumes.filter(free) };
  for (const { destination } of [...others.mounts, ...others.volumes]) taken.add(destination);
  const own = [...new Set(image.volumes.map(normalPath))]
    .filter((destination) => !taken.has(destination))
    .sort()
    .map((destination) => ({ volume: newVolumeName(), destination, readOnly: false }));
  return {
    mounts: [...mounts, ...others.mounts],
    ...present('volumes', [...given, ...others.volumes, ...own]),
    ...present('volumesFrom', options.volumesFrom),
    ...present('tmpfs', tmpfs),
  };
}

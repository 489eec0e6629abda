/** What is mounted into a container: from the wire, and onto it. */
import {
  type Mount,
  MountPropagation,
  type IdRange as WireRange,
  type TmpfsMount as WireTmpfs,
} from '../../proto/gen/mydocker/v1/config.ts';
import type { BindMount, ContainerConfig, Propagation, TmpfsMount } from '../model/container.ts';
import { invalidArgument } from '../model/error.ts';
import type { IdMap, IdRange } from '../model/id-map.ts';
import type { ContainerOptions } from '../ops/container-options.ts';
import type { VolumeChoice } from '../ops/merge-mounts.ts';
import { lacking, refuseRest } from './refuse-rest.ts';

const PROPAGATION = {
  rprivate: MountPropagation.RPRIVATE,
  private: MountPropagation.PRIVATE,
  rslave: MountPropagation.RSLAVE,
  slave: MountPropagation.SLAVE,
  rshared: MountPropagation.RSHARED,
  shared: MountPropagation.SHARED,
} as const satisfies Record<Propagation, MountPropagation>;

/**
 * @throws MydockerError `invalid-argument` for a mount without a source, `unimplemented` for what this version
 * lacks.
 */
export function decodeMounts(
  mounts: readonly Mount[],
): Pick<ContainerOptions, 'mounts' | 'volumes' | 'tmpfs'> {
  const binds: BindMount[] = [];
  const volumes: VolumeChoice[] = [];
  const tmpfs: TmpfsMount[] = [];
  for (const { destination, readOnly, source, idMap } of mounts) {
    if (source === undefined)
      throw invalidArgument(`invalid mount ${destination}: it has no source`, {
        reason: 'MOUNT_SOURCE_MISSING',
      });
    const place = { destination, readOnly };
    const mapped = { ...place, ...decodeIdMap(idMap) };
    if (idMap !== undefined && source.$case === 'tmpfs')
      throw invalidArgument(`invalid mount ${destination}: a tmpfs of its own has no owners to map`, {
        reason: 'CONFIG_INVALID',
        hint: 'leave out idmap, or give a bind mount or a volume',
      });
    if (source.$case === 'bind') binds.push({ ...mapped, ...decodeBind(source.value) });
    else if (source.$case === 'volume') volumes.push({ ...mapped, ...decodeVolume(source.value) });
    else if (source.$case === 'tmpfs') tmpfs.push({ ...place, ...decodeTmpfs(source.value) });
    else throw lacking('config.mounts.image', 'mount a directory of the host');
  }
  return { mounts: binds, volumes, tmpfs };
}

function decodeIdMap(given: Mount['idMap']): { idMap?: IdMap } {
  if (given === undefined) return {};
  const ranges = (list: readonly WireRange[]): IdRange[] =>
    list.map(({ containerId, hostId, count }) => ({ containerID: containerId, hostID: hostId, size: count }));
  return { idMap: { uids: ranges(given.uids), gids: ranges(given.gids) } };
}

function encodeIdMap(map: IdMap | undefined): Mount['idMap'] {
  if (map === undefined) return undefined;
  const ranges = (list: readonly IdRange[]): WireRange[] =>
    list.map(({ containerID, hostID, size }) => ({ containerId: containerID, hostId: hostID, count: size }));
  return { uids: ranges(map.uids), gids: ranges(map.gids) };
}

type Source<C> = Extract<NonNullable<Mount['source']>, { readonly $case: C }>['value'];

function decodeBind({
  source,
  requireSource,
  propagation,
  nonRecursive,
  readOnlyTop,
  ...rest
}: Source<'bind'>): Omit<BindMount, 'destination' | 'readOnly'> {
  refuseRest('config.mounts.bind', rest);
  const [named] = Object.entries(PROPAGATION).find(([, code]) => code === propagation) ?? [];
  return {
    source,
    ...(requireSource ? { requireSource } : {}),
    ...(named === undefined || named === 'rprivate' ? {} : { propagation: named as Propagation }),
    ...(nonRecursive ? { nonRecursive } : {}),
    ...(readOnlyTop ? { readOnlyTop } : {}),
  };
}

function decodeVolume({
  name,
  noCopy,
  subpath,
  options,
  labels,
}: Source<'volume'>): Omit<VolumeChoice, 'destination' | 'readOnly'> {
  const isGiven = Object.keys({ ...options, ...labels }).length > 0;
  return {
    ...{ noCopy, ...(name === '' ? {} : { name }), ...(subpath === '' ? {} : { subpath }) },
    ...(isGiven ? { made: { options, labels } } : {}),
  };
}

function decodeTmpfs({ sizeBytes, mode, options }: WireTmpfs): Omit<TmpfsMount, 'destination' | 'readOnly'> {
  return {
    ...(sizeBytes === undefined || sizeBytes === 0n ? {} : { sizeBytes }),
    ...(mode === undefined ? {} : { mode }),
    options,
  };
}

/** All mounts of a container, as a create could be given them. */
export function encodeMounts({ mounts, volumes = [], tmpfs = [] }: ContainerConfig): Mount[] {
  return [
    ...mounts.map(
      ({
        source,
        destination,
        readOnly,
        requireSource,
        propagation,
        nonRecursive,
        readOnlyTop,
        idMap,
      }): Mount => ({
        ...{ destination, readOnly, idMap: encodeIdMap(idMap) },
        source: {
          $case: 'bind',
          value: {
            source,
            requireSource: requireSource === true,
            propagation: PROPAGATION[propagation ?? 'rprivate'],
            nonRecursive: nonRecursive === true,
            idmap: false,
            readOnlyTop: readOnlyTop === true,
          },
        },
      }),
    ),
    ...volumes.map(
      ({ volume: name, destination, readOnly, noCopy = false, subpath = '', idMap }): Mount => ({
        ...{ destination, readOnly, idMap: encodeIdMap(idMap) },
        source: { $case: 'volume', value: { name, noCopy, subpath, options: {}, labels: {} } },
      }),
    ),
    ...tmpfs.map(
      ({ destination, readOnly, sizeBytes, mode, options }): Mount => ({
        ...{ destination, readOnly, idMap: undefined },
        source: { $case: 'tmpfs', value: { sizeBytes, mode, options: [...options] } },
      }),
    ),
  ];
}

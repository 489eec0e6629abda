/** What is mounted into a container: from the wire, and onto it. */
import {
  type Mount,
  MountPropagation,
  type TmpfsMount as WireTmpfs,
} from '../../proto/gen/mydocker/v1/config.ts';
import type { BindMount, ContainerConfig, Propagation, TmpfsMount } from '../model/container.ts';
import { invalidArgument } from '../model/error.ts';
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
  for (const { destination, readOnly, source } of mounts) {
    if (source === undefined)
      throw invalidArgument(`invalid mount ${destination}: it has no source`, {
        reason: 'MOUNT_SOURCE_MISSING',
      });
    const place = { destination, readOnly };
    if (source.$case === 'bind') binds.push({ ...place, ...decodeBind(source.value) });
    else if (source.$case === 'volume') volumes.push({ ...place, ...decodeVolume(source.value) });
    else if (source.$case === 'tmpfs') tmpfs.push({ ...place, ...decodeTmpfs(source.value) });
    else throw lacking('config.mounts.image', 'mount a directory of the host');
  }
  return { mounts: binds, volumes, tmpfs };
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
      ({ source, destination, readOnly, requireSource, propagation, nonRecursive, readOnlyTop }): Mount => ({
        destination,
        readOnly,
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
      ({ volume: name, destination, readOnly, noCopy = false, subpath = '' }): Mount => ({
        destination,
        readOnly,
        source: { $case: 'volume', value: { name, noCopy, subpath, options: {}, labels: {} } },
      }),
    ),
    ...tmpfs.map(
      ({ destination, readOnly, sizeBytes, mode, options }): Mount => ({
        destination,
        readOnly,
        source: { $case: 'tmpfs', value: { sizeBytes, mode, options: [...options] } },
      }),
    ),
  ];
}

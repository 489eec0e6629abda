/** What a container mounts of the host, its volumes by what they are: folders of the server's, of the host, or memory. */
import type { BindMount, ContainerConfig, TmpfsMount, VolumeMount } from '../model/container.ts';
import { volumeSource } from '../model/volume.ts';
import type { Engine } from './engine.ts';
import { volumeData } from './volume-folders.ts';

/** All mounts of a container as paths of the host and file systems in memory. */
export function hostMounts(
  engine: Pick<Engine, 'paths' | 'store'>,
  { mounts, volumes = [], tmpfs = [] }: ContainerConfig,
): { readonly mounts: readonly BindMount[]; readonly tmpfs: readonly TmpfsMount[] } {
  const own = volumes.map((volume) => mountOf(engine, volume));
  return {
    mounts: [...mounts, ...own.filter(isBind)],
    tmpfs: [...tmpfs, ...own.filter((mount): mount is TmpfsMount => !isBind(mount))],
  };
}

const isBind = (mount: BindMount | TmpfsMount): mount is BindMount => 'source' in mount;

function mountOf(
  { paths, store }: Pick<Engine, 'paths' | 'store'>,
  { volume, destination, readOnly, subpath }: VolumeMount,
): BindMount | TmpfsMount {
  const source = volumeSource(store.volumes.get(volume)?.options);
  const below = subpath === undefined ? {} : { subpath };
  switch (source.kind) {
    case 'folder':
      return { source: volumeData(paths, volume), destination, readOnly, ...below };
    case 'bind':
      return {
        ...{ source: source.device, destination, requireSource: true, ...below },
        readOnly: readOnly || source.readOnly,
        ...(source.recursive ? {} : { nonRecursive: true }),
      };
    case 'tmpfs':
      return {
        ...{ destination, readOnly: readOnly || source.readOnly, options: tmpfsOptions(source.options) },
        ...(source.mode === undefined ? {} : { mode: source.mode }),
      };
  }
}

/** A volume may have programs and devices in it unless it says that it has none, other than `--tmpfs`. */
function tmpfsOptions(given: readonly string[]): string[] {
  return [...['exec', 'suid', 'dev'].filter((option) => !given.includes(`no${option}`)), ...given];
}

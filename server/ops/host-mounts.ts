/** What a container mounts of the host, its volumes by what they are: folders of the server's, of the host, or memory. */
import type {
  BindMount,
  ContainerConfig,
  FilesystemMount,
  TmpfsMount,
  VolumeMount,
} from '../model/container.ts';
import { volumeSource } from '../model/volume.ts';
import type { Engine } from './engine.ts';
import { volumeData } from './volume-folders.ts';

/** By what the kernel is asked for. */
export interface HostMounts {
  readonly mounts: readonly BindMount[];
  readonly tmpfs: readonly TmpfsMount[];
  readonly filesystems: readonly FilesystemMount[];
}

/** All mounts of a container as paths of the host and file systems in memory. */
export function hostMounts(
  engine: Pick<Engine, 'paths' | 'store'>,
  { mounts, volumes = [], tmpfs = [] }: ContainerConfig,
): HostMounts {
  const own = volumes.map((volume) => mountOf(engine, volume));
  return {
    mounts: [...mounts, ...own.filter(isBind)],
    tmpfs: [...tmpfs, ...own.filter(isTmpfs)],
    filesystems: own.filter(isFilesystem),
  };
}

type Any = BindMount | TmpfsMount | FilesystemMount;
const isBind = (mount: Any): mount is BindMount => 'source' in mount;
const isFilesystem = (mount: Any): mount is FilesystemMount => 'device' in mount;
const isTmpfs = (mount: Any): mount is TmpfsMount => !isBind(mount) && !isFilesystem(mount);

function mountOf(
  { paths, store }: Pick<Engine, 'paths' | 'store'>,
  { volume, destination, readOnly, subpath, idMap }: VolumeMount,
): Any {
  const source = volumeSource(store.volumes.get(volume)?.options);
  const below = {
    ...(subpath === undefined ? {} : { subpath }),
    ...(idMap === undefined ? {} : { idMap }),
  };
  switch (source.kind) {
    case 'folder':
      return { source: volumeData(paths, volume), destination, readOnly, ...below };
    case 'bind':
      return {
        ...{ source: source.device, destination, requireSource: true, ...below },
        readOnly: readOnly || source.readOnly,
        ...(source.recursive ? {} : { nonRecursive: true }),
      };
    case 'filesystem':
      return {
        ...{ destination, type: source.type, device: source.device, ...below },
        // Of this mount alone: others may write to the same filesystem.
        options: [...source.options, ...(readOnly ? ['rro'] : [])],
      };
    case 'tmpfs':
      return {
        ...{ destination, readOnly: readOnly || source.readOnly, volume, ...below },
        options: tmpfsOptions(source.options),
        ...(source.mode === undefined ? {} : { mode: source.mode }),
      };
  }
}

/** A volume may have programs and devices in it unless it says that it has none, other than `--tmpfs`. */
function tmpfsOptions(given: readonly string[]): string[] {
  return [...['exec', 'suid', 'dev'].filter((option) => !given.includes(`no${option}`)), ...given];
}

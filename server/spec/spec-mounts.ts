/** What is mounted into a container, as the runtime specification writes it: the default ones, then the user's. */
import type { BindMount, ContainerConfig, FilesystemMount, TmpfsMount } from '../model/container.ts';
import type { IdMap } from '../model/id-map.ts';
import type { OciMount } from '../model/oci-spec.ts';
import { DEFAULT_MOUNTS } from './defaults.ts';

const HOST_SHM: OciMount = {
  destination: '/dev/shm',
  type: 'bind',
  source: '/dev/shm',
  options: ['rbind'],
};

/** The default ones with what the configuration says about them. */
export function defaultMounts(config: ContainerConfig): readonly OciMount[] {
  const mounts = withShm(config);
  if (config.privileged !== true) return mounts;
  return mounts.map((mount) => ({ ...mount, options: mount.options.filter((option) => option !== 'ro') }));
}

function withShm({ shmSizeBytes, namespaces }: ContainerConfig): readonly OciMount[] {
  const ipc = namespaces?.ipc?.kind;
  // POSIX's shared memory is files, which go with the namespace that has the other kinds.
  if (ipc === 'host')
    return DEFAULT_MOUNTS.map((mount) => (mount.destination === '/dev/shm' ? HOST_SHM : mount));
  if (ipc === 'container') return DEFAULT_MOUNTS.filter(({ destination }) => destination !== '/dev/shm');
  if (shmSizeBytes === undefined) return DEFAULT_MOUNTS;
  return DEFAULT_MOUNTS.map((mount) =>
    mount.destination === '/dev/shm'
      ? { ...mount, options: [...mount.options.filter(isNoSize), `size=${shmSizeBytes}`] }
      : mount,
  );
}

const isNoSize = (option: string): boolean => !option.startsWith('size=');

/** Whether mounts of the host below the source show in the container. */
export const isSlave = ({ propagation }: BindMount): boolean =>
  propagation === 'rslave' || propagation === 'slave';

/** mount(8)'s word for a path below the source. */
const SUBDIR = 'X-mount.subdir=';

/** Whether an option says which part of a source is mounted. */
const isSubdir = (option: string): boolean => option.startsWith(SUBDIR);

/** Path below the source that a mount is about; undefined: none. */
export const subdirOf = ({ options }: OciMount): string | undefined =>
  options.find(isSubdir)?.slice(SUBDIR.length);

const subdir = (subpath: string | undefined): string[] =>
  subpath === undefined ? [] : [`${SUBDIR}${subpath}`];

/** Tells a source and a path below it from every other. */
export const sourceKey = (source: string, subpath: string | undefined): string =>
  subpath === undefined ? source : `${source}\0${subpath}`;

/** The runtime specification's words for it; nothing where owners stay as they are. */
const IDMAP = 'idmap';
const mapped = (map: IdMap | undefined): Pick<OciMount, 'uidMappings' | 'gidMappings'> =>
  map === undefined ? {} : { uidMappings: map.uids, gidMappings: map.gids };
const mapping = (map: IdMap | undefined): string[] => (map === undefined ? [] : [IDMAP]);

/** Whether an option is for whoever makes the mount, and not for the filesystem. */
export const isForMaker = (option: string): boolean => isSubdir(option) || option === IDMAP;

const depth = (path: string): number => path.split('/').length;

/** Parents are mounted before what lies below them. */
export function userMounts(
  config: ContainerConfig & { readonly filesystems?: readonly FilesystemMount[] },
): OciMount[] {
  const binds = config.mounts.map(
    (mount): OciMount => ({
      destination: mount.destination,
      source: mount.source,
      type: 'bind',
      options: [
        mount.nonRecursive === true ? 'bind' : 'rbind',
        ...(mount.propagation === undefined ? [] : [mount.propagation]),
        // As the runtime specification has it: recursive, or of this mount alone.
        ...(mount.readOnly ? [mount.readOnlyTop === true ? 'ro' : 'rro'] : []),
        ...subdir(mount.subpath),
        ...mapping(mount.idMap),
      ],
      ...mapped(mount.idMap),
    }),
  );
  const filesystems = (config.filesystems ?? []).map(filesystemMount);
  return [...binds, ...(config.tmpfs ?? []).map(tmpfsMount), ...filesystems].sort(
    (a, b) => depth(a.destination) - depth(b.destination),
  );
}

/** What the shim mounts for a container, or for a worker. */
export const filesystemMount = ({
  type,
  device: source,
  destination,
  options,
  subpath,
  idMap,
}: FilesystemMount): OciMount => ({
  ...{ type, source, destination, ...mapped(idMap) },
  options: [...options, ...subdir(subpath), ...mapping(idMap)],
});

/** Docker's: nothing that is executed, no setuid, no devices, unless that is asked for. */
export function tmpfsMount({
  destination,
  readOnly,
  sizeBytes,
  mode = 0o1777,
  options,
  subpath,
  idMap,
}: TmpfsMount): OciMount {
  const given = new Set(options);
  const usual = ['exec', 'suid', 'dev'].filter((name) => !given.has(name)).map((name) => `no${name}`);
  const more = options.filter((option) => !/^(?:no)?(?:exec|suid|dev)$|^r[ow]$/.test(option));
  return {
    destination,
    source: 'tmpfs',
    type: 'tmpfs',
    options: [
      ...usual,
      ...(readOnly || given.has('ro') ? ['ro'] : []),
      ...more,
      `mode=${mode.toString(8)}`,
      ...(sizeBytes === undefined ? [] : [`size=${sizeBytes}`]),
      ...subdir(subpath),
      ...mapping(idMap),
    ],
    ...mapped(idMap),
  };
}

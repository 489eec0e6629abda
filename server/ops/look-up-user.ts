/**
 * Who `-u` or an image's USER means, and which groups `--group-add`, by the passwd and group files that the container will see.
 */
import type { ContainerConfig } from '../model/container.ts';
import {
  type Credentials,
  MAX_USER_FILE_BYTES,
  parseGroup,
  parseUserSpec,
  resolveUser,
} from '../model/user-spec.ts';
import { readMergedFile } from '../snapshot/lookup.ts';
import { containerFolder, type Engine, snapshotterOf } from './engine.ts';

/** What decides the answer. */
export interface UserOwner {
  readonly id: string;
  readonly config: ContainerConfig;
  readonly layers: readonly bigint[];
}

/** Answers for images, which never change; containers that changed their own files are asked each time. */
const MAX_CACHED = 256;
const cache = new Map<string, Credentials>();

/**
 * @throws MydockerError `invalid-argument` when the files do not have the name, or cannot be read as such.
 */
export function lookUpUser(engine: Engine, owner: UserOwner, user: string): Credentials {
  const folder = containerFolder(engine.paths, owner.id);
  const { rootfs: source, additionalGroups: groups = [] } = owner.config;
  if (source.kind === 'directory')
    return resolve(user, groups, (path) => readMergedFile([source.path], path, MAX_USER_FILE_BYTES));
  const snapshotter = snapshotterOf(engine, owner.config);
  const changed = ['etc/passwd', 'etc/group'].some((path) => snapshotter.hasOwn(folder, path));
  const read = (own: string | undefined) => (path: string) =>
    snapshotter.readFile(own, owner.layers, path, MAX_USER_FILE_BYTES);
  if (changed) return resolve(user, groups, read(folder));
  const key = [owner.layers.join(','), user, ...groups].join(' ');
  const known = cache.get(key);
  if (known !== undefined) return known;
  const found = resolve(user, groups, read(undefined));
  if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value ?? '');
  cache.set(key, found);
  return found;
}

function resolve(
  user: string,
  groups: readonly string[],
  read: (path: string) => Buffer | undefined,
): Credentials {
  return resolveUser(parseUserSpec(user), read('/etc/passwd'), read('/etc/group'), groups.map(parseGroup));
}

/**
 * Short spellings of the plan's operations, each with the words that explain and an error show. What they do
 * is in shim/plan.h.
 */
import type { Op, Slot } from '../model/plan.ts';

/** open(2) flags, equal on x86-64 and arm64 but for the last two, which x86-64 and arm64 swap. */
const ARM = process.arch === 'arm64';
export const O: Readonly<
  Record<
    | 'rdonly'
    | 'wronly'
    | 'rdwr'
    | 'creat'
    | 'excl'
    | 'trunc'
    | 'noctty'
    | 'nonblock'
    | 'directory'
    | 'nofollow'
    | 'path',
    number
  >
> = {
  rdonly: 0,
  wronly: 0o1,
  rdwr: 0o2,
  creat: 0o100,
  excl: 0o200,
  trunc: 0o1000,
  noctty: 0o400,
  nonblock: 0o4000,
  directory: ARM ? 0o40000 : 0o200000,
  nofollow: ARM ? 0o100000 : 0o400000,
  path: 0o10000000,
};

/** A folder, by descriptor, that is no symbolic link. */
export const FOLDER: number = O.path | O.directory | O.nofollow;
/** Anything, by descriptor; of a symbolic link the link. */
export const ANY: number = O.path | O.nofollow;

export const open = (a: Slot, path: string, flags: number, mode = 0): Op => ({
  name: 'open',
  a,
  s1: path,
  x: flags,
  y: mode,
  about: `open ${path}`,
});

/** @param path - below the root in slot `root`; `''` is the root itself. */
export const openInRoot = (a: Slot, root: Slot, path: string, flags: number, mode = 0): Op => ({
  name: 'open-in-root',
  a,
  b: root,
  s1: path,
  x: flags,
  y: mode,
  about: `open /${path} of the container`,
});

export const mount = (
  a: Slot,
  type: string,
  source: string,
  flags: number,
  data: string,
  where: string,
): Op => ({
  name: 'mount',
  a,
  s1: source,
  s2: type,
  s3: data,
  x: flags,
  about: `mount ${where}`,
});

/**
 * @param attributes - MOUNT_ATTR_* that the new mount gets.
 * @param propagation - MS_PRIVATE, or 0: as in its namespace.
 */
export const bind = (
  target: Slot,
  source: Slot,
  attributes: number,
  recursive: boolean,
  where: string,
  propagation = 0,
): Op => ({
  name: 'bind',
  a: target,
  b: source,
  x: attributes,
  y: recursive ? 1 : 0,
  ...(propagation === 0 ? {} : { z: propagation }),
  about: `mount ${where}`,
});

const parentOf = (path: string): [parent: string, name: string] => {
  const cut = path.lastIndexOf('/');
  return cut < 0 ? ['', path] : [path.slice(0, cut), path.slice(cut + 1)];
};

/** A folder and every missing parent of it. @param path - relative to the root, without `.` and `..`. */
export function mkdirs(root: Slot, path: string): Op[] {
  const names = path.split('/').filter(Boolean);
  return names.map((name, depth) => ({
    name: 'mkdir-in-root',
    b: root,
    s1: names.slice(0, depth).join('/'),
    s2: name,
    x: 0o755,
    existsOk: true,
    about: `make folder /${names.slice(0, depth + 1).join('/')}`,
  }));
}

/** An empty file to mount on, unless something is there; its parents too. */
export function touch(root: Slot, path: string): Op[] {
  const [parent, name] = parentOf(path);
  const about = `make file /${path}`;
  return [
    ...mkdirs(root, parent),
    { name: 'file-in-root', b: root, s1: parent, s2: name, x: 0o644, existsOk: true, about },
  ];
}

export function mknod(root: Slot, path: string, mode: number, device: bigint): Op {
  const [parent, name] = parentOf(path);
  const about = `make device /dev/${path}`;
  return { name: 'mknod-in-root', b: root, s1: parent, s2: name, x: mode, y: device, about };
}

export const symlink = (root: Slot, name: string, target: string): Op => ({
  name: 'symlink-in-root',
  b: root,
  s1: '',
  s2: name,
  s3: target,
  about: `link /dev/${name} to ${target}`,
});

export const writeSlot = (a: Slot, value: string, about: string): Op => ({
  name: 'write-slot',
  a,
  s2: value,
  about,
});
export const sendSlot = (a: Slot, about: string): Op => ({ name: 'send-slot', a, about });
export const recvSlot = (a: Slot, about: string): Op => ({ name: 'recv-slot', a, about });
export const close = (a: Slot, about: string): Op => ({ name: 'close', a, about });
export const dup = (a: Slot, descriptor: number, about: string): Op => ({
  name: 'dup',
  a,
  x: descriptor,
  about,
});
export const pipe = (a: Slot, b: Slot, about: string): Op => ({ name: 'pipe', a, b, about });
export const barrier: Op = {
  name: 'barrier',
  about: 'meet the shim: the process is in its cgroup, with its interface',
};
export const setns = (a: Slot, x: bigint, about: string): Op => ({ name: 'setns', a, x, about });
export const unshare = (flags: bigint, about: string): Op => ({ name: 'unshare', x: flags, about });

/**
 * The paths which a start mounts on, as data, and their repair in a directory that a container has had for
 * itself: an overlay shows the init layer's again at each start, a plain directory shows what the container
 * made of them, which may be a symlink where /proc was.
 */
import { closeSync, constants } from 'node:fs';
import { OPEN, openAt2, RESOLVE, statAt } from '../../native/tree-read.ts';
import { chmodAt, makeDirAt, unlinkAt } from '../../native/tree-write.ts';

const { S_IFMT, S_IFDIR, S_IFREG } = constants;

export const INIT_DIRECTORIES: readonly string[] = ['dev', 'dev/pts', 'dev/shm', 'etc', 'proc', 'sys'];
export const INIT_FILES: readonly string[] = ['dev/console', 'etc/hostname', 'etc/hosts', 'etc/resolv.conf'];
export const INIT_SYMLINKS: readonly (readonly [path: string, target: string])[] = [
  ['etc/mtab', '/proc/mounts'],
];

const HOW_DIRECTORY = {
  flags: OPEN.path | OPEN.directory | OPEN.noFollow,
  resolve: RESOLVE.beneath | RESOLVE.noSymlinks | RESOLVE.noMagicLinks,
};

/**
 * Puts a directory where one must be, and takes away what is neither file nor directory where the start mounts
 * a file. Nothing runs in the tree meanwhile.
 * @param rootFd - of the tree.
 * @throws SyscallError when the disk refuses.
 */
export function keepInitEntries(rootFd: number): void {
  // Parents come before what is in them.
  for (const path of INIT_DIRECTORIES) {
    inParent(rootFd, path, (parentFd, name) => {
      const kind = kindOf(parentFd, name);
      if (kind === S_IFDIR) return;
      if (kind !== undefined) unlinkAt(parentFd, name);
      makeDirAt(parentFd, name, 0o755);
      chmodAt(parentFd, name, 0o755);
    });
  }
  for (const path of INIT_FILES) {
    inParent(rootFd, path, (parentFd, name) => {
      const kind = kindOf(parentFd, name);
      if (kind !== undefined && kind !== S_IFDIR && kind !== S_IFREG) unlinkAt(parentFd, name);
    });
  }
}

function inParent(rootFd: number, path: string, step: (parentFd: number, name: Buffer) => void): void {
  const [parent, name] = path.includes('/') ? (path.split('/') as [string, string]) : ['.', path];
  const fd = openAt2(rootFd, parent, HOW_DIRECTORY);
  try {
    step(fd, Buffer.from(name));
  } finally {
    closeSync(fd);
  }
}

function kindOf(dirFd: number, name: Buffer): number | undefined {
  const status = statAt(dirFd, name);
  return status === undefined ? undefined : status.mode & S_IFMT;
}

/**
 * What the file system below the root folder can carry, found out by doing it at each start: the same files
 * may be served by another kernel, or lie on another disk, tomorrow.
 */
import { closeSync, constants, mkdirSync, openSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { SyscallError } from '../../native/errno.ts';
import { mountOverlay, renameWithWhiteout } from '../../native/overlay-mount.ts';
import { DIRENT, getXattrFd, readDirFd, statAt } from '../../native/tree-read.ts';
import { setXattrFd } from '../../native/tree-write.ts';

const { S_IFMT, S_IFCHR } = constants;

const XATTR = 'trusted.overlay.opaque';

/** What a backing file system offers to overlayfs. */
export interface Backing {
  /** Directories tell the type of their entries; without it whiteouts cannot be told from devices. */
  readonly directoryTypes: boolean;
  /** trusted.* attributes, by which overlayfs marks opaque directories. */
  readonly xattrs: boolean;
  /** RENAME_WHITEOUT, by which a file that is renamed hides the one below it. */
  readonly renameWhiteout: boolean;
  /** Why an overlay with its upper layer here does not work: `EINVAL`; absent: it works. */
  readonly overlayError?: string;
}

/**
 * @param root - the server's root folder; a folder in it is made for the time of the call.
 * @throws Error of node:fs when nothing can be made there.
 */
export function probeBacking(root: string): Backing {
  const folder = `${root}/.probe`;
  rmSync(folder, { recursive: true, force: true });
  for (const name of ['', '/lower', '/upper', '/work', '/plain']) mkdirSync(folder + name, { mode: 0o700 });
  const opened: number[] = [];
  const open = (name: string): number => {
    const fd = openSync(`${folder}/${name}`, 'r');
    opened.push(fd);
    return fd;
  };
  try {
    for (const name of ['lower/hidden', 'plain/a']) writeFileSync(`${folder}/${name}`, 'x');
    const dirs = { lower: open('lower'), upper: open('upper'), work: open('work') };
    return {
      directoryTypes: hasTypes(open('plain')),
      xattrs: hasXattrs(open('plain')),
      renameWhiteout: renameWithWhiteout(open('plain'), 'a', 'b'),
      ...overlayErrorOf(dirs),
    };
  } finally {
    for (const fd of opened) closeSync(fd);
    rmSync(folder, { recursive: true, force: true });
  }
}

function hasTypes(fd: number): boolean {
  return readDirFd(fd)?.every(({ type }) => type !== DIRENT.unknown) ?? false;
}

function hasXattrs(fd: number): boolean {
  try {
    setXattrFd(fd, XATTR, Buffer.from('y'));
    return getXattrFd(fd, XATTR)?.toString() === 'y';
  } catch (error) {
    if (error instanceof SyscallError) return false;
    throw error;
  }
}

/** A kernel may take the mount and fail later, so that a file is hidden in it too. */
function overlayErrorOf(dirs: Parameters<typeof mountOverlay>[0]): { overlayError?: string } {
  try {
    const mount = mountOverlay(dirs);
    try {
      unlinkSync(`/proc/self/fd/${mount}/hidden`);
    } finally {
      closeSync(mount);
    }
  } catch (error) {
    if (error instanceof SyscallError) return { overlayError: error.errno };
    return { overlayError: (error as NodeJS.ErrnoException).code ?? String(error) };
  }
  const mark = statAt(dirs.upper, Buffer.from('hidden'));
  const isWhiteout = mark !== undefined && (mark.mode & S_IFMT) === S_IFCHR;
  return isWhiteout ? {} : { overlayError: 'no whiteout was made' };
}

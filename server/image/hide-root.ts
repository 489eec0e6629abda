/**
 * A layer whose root is opaque: overlayfs has no mark for that on a root, so that each name of the layers below
 * is hidden by itself.
 */
import { closeSync, constants } from 'node:fs';
import { OPEN, openAt2, RESOLVE, readDirFd, statAt } from '../../native/tree-read.ts';
import { makeNodeAt, setXattrFd } from '../../native/tree-write.ts';
import { isDirectory, isWhiteout, OPAQUE_XATTR } from './file-kinds.ts';

const { S_IFCHR } = constants;

const HOW_DIRECTORY = {
  flags: OPEN.readOnly | OPEN.directory | OPEN.noFollow,
  resolve: RESOLVE.beneath | RESOLVE.noSymlinks | RESOLVE.noMagicLinks,
};

/**
 * @param rootFd - the layer, complete but for the looks of its directories.
 * @param below - roots of the layers under it.
 * @throws SyscallError
 */
export function hideRoot(rootFd: number, below: readonly number[]): void {
  for (const layer of below) for (const name of namesIn(layer)) hide(rootFd, layer, name);
}

function hide(rootFd: number, layer: number, name: Buffer): void {
  const own = statAt(rootFd, name);
  if (own === undefined) {
    const hidden = statAt(layer, name);
    // Nothing is lost where that is a whiteout: it hides what we do anyway.
    if (hidden !== undefined && !isWhiteout(hidden)) makeNodeAt(rootFd, name, S_IFCHR, 0, 0);
  } else if (isDirectory(own)) {
    withDirectory(rootFd, name, (fd) => setXattrFd(fd, OPAQUE_XATTR, Buffer.from('y')));
  }
}

function namesIn(layer: number): Buffer[] {
  return withDirectory(layer, '.', (fd) => {
    const names: Buffer[] = [];
    for (let batch = readDirFd(fd); batch !== undefined; batch = readDirFd(fd))
      names.push(...batch.map(({ name }) => name));
    return names;
  });
}

function withDirectory<T>(dirFd: number, name: Buffer | string, step: (fd: number) => T): T {
  const fd = openAt2(dirFd, name, HOW_DIRECTORY);
  try {
    return step(fd);
  } finally {
    closeSync(fd);
  }
}

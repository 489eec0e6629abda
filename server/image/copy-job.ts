/**
 * The worker's side of a copy: the folder that it works in is emptied, so that what an earlier try left does
 * not matter, and holds the whole copy as `tree` in the end, on the disk.
 */
import { closeSync, openSync } from 'node:fs';
import { OPEN, openAt2, RESOLVE } from '../../native/tree-read.ts';
import { makeDirAt, syncFs, unlinkAt } from '../../native/tree-write.ts';
import { type CopySummary, copyTree } from './copy-tree.ts';
import { emptyDirectory } from './tree-remover.ts';

/** Name of the copy in the folder that the worker is given. */
export const COPY_NAME = 'tree';

const LINKS = Buffer.from('links');
const TREE = Buffer.from(COPY_NAME);
const HOW = {
  flags: OPEN.readOnly | OPEN.directory | OPEN.noFollow,
  resolve: RESOLVE.beneath | RESOLVE.noSymlinks | RESOLVE.noMagicLinks,
};

/**
 * @param sources - paths as the worker sees them, the topmost first.
 * @param directoryFd - the folder to work in.
 * @throws SyscallError with the path of what could not be copied.
 */
export function copyInto(sources: readonly string[], directoryFd: number): CopySummary {
  const opened: number[] = [];
  const open = (name: Buffer): number => {
    makeDirAt(directoryFd, name, 0o700);
    const fd = openAt2(directoryFd, name, HOW);
    opened.push(fd);
    return fd;
  };
  try {
    emptyDirectory(directoryFd);
    const [tree, links] = [open(TREE), open(LINKS)];
    const from = sources.map((path) => openSync(path, OPEN.readOnly | OPEN.directory));
    opened.push(...from);
    const summary = copyTree(from, tree, links);
    emptyDirectory(links);
    unlinkAt(directoryFd, LINKS, true);
    syncFs(directoryFd);
    return summary;
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

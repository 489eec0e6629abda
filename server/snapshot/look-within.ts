/** Looks at one file below a folder whose content somebody else makes: no link in there leads out of it. */
import { closeSync, fstatSync, openSync, type Stats } from 'node:fs';
import { OPEN, openAt2, RESOLVE } from '../../native/tree-read.ts';

/**
 * What a path leads to, links followed as if the folder were the root.
 * @param path - relative.
 * @returns undefined where it leads to nothing, or the folder is not there.
 */
export function statusWithin(folder: string, path: string): Stats | undefined {
  let root: number | undefined;
  let found: number | undefined;
  try {
    root = openSync(folder, OPEN.path | OPEN.directory);
    found = openAt2(root, path, { flags: OPEN.path, resolve: RESOLVE.inRoot | RESOLVE.noMagicLinks });
    return fstatSync(found);
  } catch {
    return undefined;
  } finally {
    for (const fd of [root, found]) if (fd !== undefined) closeSync(fd);
  }
}

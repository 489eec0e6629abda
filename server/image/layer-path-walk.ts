/**
 * Follows a path through the tree that a container would see: the layer that is being unpacked over those
 * below it. Used for what the kernel cannot find in the new layer alone: a directory or a symlink of a layer
 * below on the way. Symlinks are followed inside the root, by hand and up to the kernel's own limit.
 */
import { SyscallError } from '../../native/errno.ts';
import { type FileStatus, readLinkAt, statAt } from '../../native/tree-read.ts';
import { quoteId } from '../model/error.ts';
import { archiveError, printableName } from './archive-error.ts';
import { joinPath, type LayerPath, pathParts } from './entry-path.ts';
import { isDirectory, isSymlink, isWhiteout } from './file-kinds.ts';
import { isOpaqueAt, type LowerDir, type LowerFound, lookBelow, targetOf } from './lower-layers.ts';

/** As many symlinks as the kernel follows in one path. */
const MAX_SYMLINKS = 40;
const ELOOP = 40;
const DOT_DOT = Buffer.from('..');

/** A directory on the way: where it is, and what it is made of. */
export interface Level {
  readonly path: LayerPath;
  /** Whether the new layer has it; then it has all above it too. */
  readonly own: boolean;
  /** What the layers below have of it; undefined when nothing, or when it is hidden. */
  readonly below: LowerDir | undefined;
}

/** What the walk goes through. */
export interface WalkedTree {
  readonly rootFd: number;
  /** Roots of the layers below, topmost first. */
  readonly below: readonly number[];
}

/**
 * @param entry - name of the entry, for messages.
 * @param path - to a directory; parts that are nowhere are taken for directories still to be made.
 * @returns the directory it leads to and those above it, from the root down; the last is it.
 * @throws MydockerError `invalid-argument` when something on the way is no directory; SyscallError ELOOP for
 * too many symlinks.
 */
export function walkPath(tree: WalkedTree, entry: Buffer, path: LayerPath): Level[] {
  const root: LowerDir | undefined = tree.below.length === 0 ? undefined : { path: [], layers: tree.below };
  const levels: Level[] = [{ path: [], own: true, below: root }];
  // Last part first: symlinks put their parts where theirs was.
  const rest = path.toReversed();
  let symlinks = 0;
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name.equals(DOT_DOT)) {
      if (levels.length > 1) levels.pop();
      continue;
    }
    const step = lookUp(tree, levels.at(-1), name);
    if (step.kind === 'directory') {
      levels.push(step.level);
    } else if (step.kind === 'symlink') {
      symlinks += 1;
      if (symlinks > MAX_SYMLINKS) throw new SyscallError('openat2', ELOOP, printableName(joinPath(path)));
      if (step.target[0] === 0x2f) levels.length = 1;
      rest.push(...pathParts(step.target).toReversed());
    } else {
      const where = [...(levels.at(-1)?.path ?? []), name];
      throw archiveError(entry, `${quoteId(printableName(joinPath(where)))} above it is no directory`);
    }
  }
  return levels;
}

type Step =
  | { readonly kind: 'directory'; readonly level: Level }
  | { readonly kind: 'symlink'; readonly target: Buffer }
  | { readonly kind: 'file' };

function lookUp(tree: WalkedTree, here: Level | undefined, name: Buffer): Step {
  const path = [...(here?.path ?? []), name];
  const found = here === undefined ? undefined : lookAt(tree, here, name);
  if (found === undefined) return { kind: 'directory', level: { path, own: false, below: undefined } };
  if (found.kind === 'own') {
    if (isSymlink(found.status)) return { kind: 'symlink', target: readLinkAt(tree.rootFd, joinPath(path)) };
    if (!isDirectory(found.status)) return { kind: 'file' };
    const below = here?.below === undefined || isOpaqueAt(tree.rootFd, path) ? undefined : here.below;
    const merged = below === undefined ? undefined : lookBelow(below, name);
    const dir = merged?.kind === 'directory' ? merged.dir : undefined;
    return { kind: 'directory', level: { path, own: true, below: dir } };
  }
  if (found.kind === 'directory') return { kind: 'directory', level: { path, own: false, below: found.dir } };
  return isSymlink(found.file.status) ? { kind: 'symlink', target: targetOf(found.file) } : { kind: 'file' };
}

/** A name in a directory of the merged tree. */
export type Found =
  | { readonly kind: 'own'; readonly path: LayerPath; readonly status: FileStatus }
  | LowerFound;

/** @returns undefined where nothing is seen, a whiteout of the new layer included. */
export function lookAt(tree: WalkedTree, here: Level, name: Buffer): Found | undefined {
  const path = [...here.path, name];
  const status = here.own ? statAt(tree.rootFd, joinPath(path)) : undefined;
  if (status !== undefined) return isWhiteout(status) ? undefined : { kind: 'own', path, status };
  return here.below === undefined ? undefined : lookBelow(here.below, name);
}

/**
 * The worker's side of beginning a volume that lies elsewhere: it is filled where it is, and only while it is empty. The
 * copy is made in a folder of the volume first, whose name is the mark of a fill that is not over, so that whatever dies
 * meanwhile (this worker, the server, the machine), the next one undoes it or goes on with it, and nothing else has to
 * remember it.
 *
 *   .mydocker-fill/tree       is copied: removed by the next one
 *   .mydocker-fill/complete   the whole copy: the next one goes on moving its names to the volume's top
 */
import { closeSync, constants, fstatSync } from 'node:fs';
import { OPEN, openAt2, RESOLVE, statAt } from '../../native/tree-read.ts';
import { makeDirAt, renameAt, renameNewAt, setTimesFd, syncFs, unlinkAt } from '../../native/tree-write.ts';
import { COPY_NAME, copyInto } from './copy-job.ts';
import { applyMeta } from './copy-tree.ts';
import { emptyDirectory, namesIn } from './tree-remover.ts';

/** In the volume while it is filled. */
export const FILL_MARK = '.mydocker-fill';

const MARK = Buffer.from(FILL_MARK);
const TREE = Buffer.from(COPY_NAME);
const COMPLETE = Buffer.from('complete');
const OWN_UID = 0;
const { S_IFMT, S_IFDIR } = constants;
const HOW = {
  flags: OPEN.readOnly | OPEN.directory | OPEN.noFollow,
  resolve: RESOLVE.beneath | RESOLVE.noSymlinks | RESOLVE.noMagicLinks | RESOLVE.noMounts,
};

/** What became of it. */
export interface FillSummary {
  /** Names at its top that came from the sources; none where something was there. */
  readonly placed: number;
}

/**
 * Gives an empty directory the merged content and the look of others, durably; one in which something is stays as it is.
 * @param sources - paths as the worker sees them, the topmost first.
 * @param directoryFd - the volume; what is in it may have been shaped by anybody.
 * @throws SyscallError with the path of what could not be copied; the directory is as it was then.
 */
export function fillFrom(sources: readonly string[], directoryFd: number): FillSummary {
  const volume = openAt2(directoryFd, '.', HOW);
  try {
    const found = markIn(volume);
    if (found === 'foreign') return { placed: 0 };
    if (found === 'complete') return { placed: finish(volume) };
    if (found === 'begun') removeMark(volume);
    if (namesIn(volume).length > 0) return { placed: 0 };
    try {
      copy(sources, volume);
    } catch (error) {
      if (isDirectory(volume, MARK)) removeMark(volume);
      throw error;
    }
    return { placed: finish(volume) };
  } finally {
    closeSync(volume);
  }
}

/** What an earlier one left; a mark that is no folder of root's is somebody's. */
function markIn(volume: number): 'none' | 'foreign' | 'begun' | 'complete' {
  if (statAt(volume, MARK) === undefined) return 'none';
  if (!isDirectory(volume, MARK)) return 'foreign';
  const mark = openAt2(volume, MARK, HOW);
  try {
    // A user who may write into the volume must not give its top away by what he made himself.
    if (fstatSync(mark).uid !== OWN_UID) return 'foreign';
    return isDirectory(mark, COMPLETE) ? 'complete' : 'begun';
  } finally {
    closeSync(mark);
  }
}

const isDirectory = (fd: number, name: Buffer): boolean =>
  ((statAt(fd, name)?.mode ?? 0) & S_IFMT) === S_IFDIR;

function copy(sources: readonly string[], volume: number): void {
  makeDirAt(volume, MARK, 0o700);
  const mark = openAt2(volume, MARK, HOW);
  try {
    copyInto(sources, mark);
    // On the disk by now: from here on it is gone on with.
    renameAt(mark, TREE, mark, COMPLETE);
  } finally {
    closeSync(mark);
  }
}

/** The look of the top comes before the mark goes: without the mark nobody would come back to it. */
function finish(volume: number): number {
  const mark = openAt2(volume, MARK, HOW);
  const complete = openAt2(mark, COMPLETE, HOW);
  let placed = 0;
  try {
    const status = fstatSync(complete, { bigint: true });
    // What somebody put there meanwhile stays.
    for (const name of namesIn(complete)) if (renameNewAt(complete, name, volume, name)) placed += 1;
    applyMeta(complete, volume, status);
    syncFs(volume);
    removeMark(volume);
    setTimesFd(volume, status.mtimeNs);
    syncFs(volume);
  } finally {
    closeSync(complete);
    closeSync(mark);
  }
  return placed;
}

function removeMark(volume: number): void {
  const mark = openAt2(volume, MARK, HOW);
  try {
    // From inside: what is deep is moved up on the way, and never into the volume.
    emptyDirectory(mark);
  } finally {
    closeSync(mark);
  }
  unlinkAt(volume, MARK, true);
}

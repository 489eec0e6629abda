/**
 * Writes entries of an archive below a layer's root: one function for each kind of entry, all through fds.
 * Directories get owner, mode and time at the very end, see layer-tree.ts.
 */
import { closeSync, constants, ftruncateSync, writeSync } from 'node:fs';
import { SyscallError } from '../../native/errno.ts';
import { statAt } from '../../native/tree-read.ts';
import { chmodAt, chownAt, makeNodeAt, setTimesAt, symlinkAt } from '../../native/tree-write.ts';
import { MydockerError } from '../model/error.ts';
import { archiveError } from './archive-error.ts';
import type { ArchiveLimits } from './archive-limits.ts';
import { type LayerPath, layerPath, whiteoutOf } from './entry-path.ts';
import { isDirectory } from './file-kinds.ts';
import { writeHardLink } from './hard-link.ts';
import { hideRoot } from './hide-root.ts';
import { createLayerTree, type LayerTree } from './layer-tree.ts';
import { directoryMeta } from './lower-layers.ts';
import { finishFile, openNewFile } from './new-file.ts';
import type { TarEntry } from './tar-entry.ts';
import { keptXattrs } from './xattr-policy.ts';

const { S_IFCHR, S_IFBLK, S_IFIFO } = constants;

/** What became of an archive. */
export interface LayerSummary {
  /** Entries of the archive, those without an effect included. */
  readonly entries: number;
  /** Bytes of file data written. */
  readonly unpackedBytes: number;
  /** Attributes that are not ours to set, see xattr-policy.ts. */
  readonly droppedXattrs: number;
  /** Whiteouts that hide nothing, devices that would be one, book-keeping of other storage drivers. */
  readonly droppedEntries: number;
}

/** Takes entries one after the other, then `finish`. */
export interface LayerWriter {
  write(entry: TarEntry): Promise<void>;
  finish(): LayerSummary;
}

/** How a layer is written. */
export interface LayerOptions {
  /**
   * Folders of the layers below, open, topmost first. None for the lowest layer: its whiteouts hide nothing and
   * are left out.
   */
  readonly below: readonly number[];
  readonly limits: ArchiveLimits;
}

/** What is known while a layer is written. */
export interface Job extends LayerOptions {
  readonly tree: LayerTree;
  entries: number;
  unpackedBytes: number;
  droppedXattrs: number;
  droppedEntries: number;
  rootOpaque: boolean;
}

/** @param rootFd - the layer's folder, empty, kept open by the caller. */
export function createLayerWriter(rootFd: number, options: LayerOptions): LayerWriter {
  const tree = createLayerTree(rootFd, options.below);
  // Where the archive says nothing of its root, it looks as before.
  if (options.below.length > 0) tree.root(directoryMeta({ path: [], layers: options.below }));
  else tree.root({ mode: 0o755, uid: 0, gid: 0, mtimeNs: BigInt(Date.now()) * 1_000_000n, xattrs: [] });
  const job: Job = {
    ...options,
    tree,
    entries: 0,
    unpackedBytes: 0,
    droppedXattrs: 0,
    droppedEntries: 0,
    rootOpaque: false,
  };
  return {
    write: async (entry) => {
      job.entries += 1;
      try {
        await writeEntry(job, entry);
      } catch (error) {
        throw asArchiveError(entry, error);
      }
    },
    finish: () => {
      if (job.rootOpaque) hideRoot(rootFd, options.below);
      tree.finish();
      const { entries, unpackedBytes, droppedXattrs, droppedEntries } = job;
      return { entries, unpackedBytes, droppedXattrs, droppedEntries };
    },
  };
}

async function writeEntry(job: Job, entry: TarEntry): Promise<void> {
  const path = layerPath(entry.name, entry.name, 'name', job.limits);
  const whiteout = whiteoutOf(entry.name, path);
  if (whiteout.kind !== 'none') return writeWhiteout(job, entry, path, whiteout);
  job.droppedXattrs += entry.xattrs.size - keptXattrs(entry.xattrs).length;
  if (path.length === 0) return writeRoot(job, entry);
  switch (entry.kind) {
    case 'file':
      return writeFile(job, entry, path);
    case 'directory':
      return job.tree.inParent(entry.name, path, (place) =>
        job.tree.directory(place, { ...entry, xattrs: keptXattrs(entry.xattrs) }),
      );
    case 'symlink':
      return writeSymlink(job, entry, path);
    case 'hardlink':
      return writeHardLink(job, entry, path);
    case 'char':
    case 'block':
    case 'fifo':
      return writeNode(job, entry, path);
  }
}

/** An archive may say what its root looks like, not that it is something else than a directory. */
function writeRoot(job: Job, entry: TarEntry): void {
  if (entry.kind !== 'directory') throw archiveError(entry.name, `the root cannot be a ${entry.kind}`);
  job.tree.root({ ...entry, xattrs: keptXattrs(entry.xattrs) });
}

function writeWhiteout(
  job: Job,
  entry: TarEntry,
  path: LayerPath,
  whiteout: ReturnType<typeof whiteoutOf>,
): void {
  if (whiteout.kind !== 'ignored' && entry.storedBytes > 0) {
    throw archiveError(entry.name, 'it is a whiteout with content');
  }
  const { tree } = job;
  if (whiteout.kind === 'ignored' || job.below.length === 0) {
    job.droppedEntries += 1;
  } else if (whiteout.kind === 'opaque') {
    writeOpaque(job, entry, path);
  } else if (whiteout.kind === 'remove') {
    const { name } = whiteout;
    tree.inParent(entry.name, path, ({ parentFd }) => {
      // A whiteout is for the layers below: what this layer has there stays, but stands alone.
      const own = statAt(parentFd, name);
      if (own === undefined) makeNodeAt(parentFd, name, S_IFCHR, 0, 0);
      else if (isDirectory(own)) tree.markOpaque(parentFd, name);
    });
  }
}

function writeOpaque(job: Job, entry: TarEntry, path: LayerPath): void {
  job.tree.inParent(entry.name, path, (place) => {
    if (place.path.length > 1) return job.tree.markOpaque(place.parentFd, Buffer.from('.'));
    job.rootOpaque = true;
    job.tree.hideBelow();
  });
}

async function writeFile(job: Job, entry: TarEntry, path: LayerPath): Promise<void> {
  const meta = { ...entry, xattrs: keptXattrs(entry.xattrs) };
  const fd = job.tree.inParent(entry.name, path, ({ parentFd, base }) => {
    try {
      return openNewFile(parentFd, base, meta);
    } catch (error) {
      if (!(error instanceof SyscallError && error.errno === 'EEXIST')) throw error;
    }
    job.tree.clear(parentFd, base);
    return openNewFile(parentFd, base, meta);
  });
  try {
    if (entry.sparse === undefined) await writeBody(fd, entry);
    else await writeSparse(fd, entry, entry.sparse);
    job.unpackedBytes += entry.storedBytes;
    finishFile(fd, meta);
  } finally {
    closeSync(fd);
  }
}

async function writeBody(fd: number, entry: TarEntry): Promise<void> {
  for await (const chunk of entry.body()) writeAll(fd, chunk, null);
}

/** Regions are in order and chunks are not cut at them; what is between regions stays a hole. */
async function writeSparse(fd: number, entry: TarEntry, map: NonNullable<TarEntry['sparse']>): Promise<void> {
  ftruncateSync(fd, map.sizeBytes);
  let index = 0;
  let done = 0;
  for await (const chunk of entry.body()) {
    for (let at = 0; at < chunk.length; ) {
      const region = map.regions[index];
      if (region === undefined) return;
      const size = Math.min(chunk.length - at, region.length - done);
      if (size > 0) writeAll(fd, chunk.subarray(at, at + size), region.offset + done);
      at += size;
      done += size;
      if (done < region.length) continue;
      index += 1;
      done = 0;
    }
  }
}

/** @param position - undefined where the file's own position counts. */
function writeAll(fd: number, bytes: Buffer, position: number | null): void {
  for (let at = 0; at < bytes.length; ) {
    at += writeSync(fd, bytes, at, bytes.length - at, position === null ? null : position + at);
  }
}

function writeSymlink(job: Job, entry: TarEntry, path: LayerPath): void {
  if (entry.linkName.length === 0) throw archiveError(entry.name, 'its link target is empty');
  job.tree.inParent(entry.name, path, ({ parentFd, base }) => {
    job.tree.clear(parentFd, base);
    symlinkAt(entry.linkName, parentFd, base);
    chownAt(parentFd, base, entry.uid, entry.gid);
    setTimesAt(parentFd, base, entry.mtimeNs);
  });
}

function writeNode(job: Job, entry: TarEntry, path: LayerPath): void {
  const type = entry.kind === 'char' ? S_IFCHR : entry.kind === 'block' ? S_IFBLK : S_IFIFO;
  if (type === S_IFCHR && entry.deviceMajor === 0 && entry.deviceMinor === 0) {
    // To overlayfs that is a whiteout; an archive says it with a name.
    job.droppedEntries += 1;
    return;
  }
  job.tree.inParent(entry.name, path, ({ parentFd, base }) => {
    job.tree.clear(parentFd, base);
    makeNodeAt(parentFd, base, type | 0o600, entry.deviceMajor, entry.deviceMinor);
    chownAt(parentFd, base, entry.uid, entry.gid);
    chmodAt(parentFd, base, entry.mode);
    setTimesAt(parentFd, base, entry.mtimeNs);
  });
}

/** Words for what the kernel says most often while unpacking. */
const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on device',
  EDQUOT: 'the disk quota is used up',
  ENOENT: 'a directory above it does not exist, or is a symlink to nothing',
  ENOTDIR: 'what is above it is no directory',
  ELOOP: 'the symlinks above it go round in a circle',
  EMLINK: 'the file has as many links as the file system allows',
  ENAMETOOLONG: 'its name is too long',
};

function asArchiveError(entry: TarEntry, error: unknown): unknown {
  if (error instanceof MydockerError) return error;
  const errno = error instanceof SyscallError ? error.errno : nodeErrno(error);
  if (errno === undefined) return error;
  const why = REASONS[errno] ?? (error instanceof Error ? error.message : errno);
  const isDisk = errno === 'ENOSPC' || errno === 'EDQUOT' || errno === 'EFBIG';
  const isArchive = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EMLINK'].includes(errno);
  if (isDisk)
    return archiveError(entry.name, why, { code: 'resource-exhausted', reason: 'NO_SPACE', cause: error });
  if (isArchive) return archiveError(entry.name, why, { cause: error });
  return archiveError(entry.name, why, { code: 'internal', reason: 'UNPACK_FAILED', cause: error });
}

function nodeErrno(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && 'syscall' in error ? String(error.code) : undefined;
}

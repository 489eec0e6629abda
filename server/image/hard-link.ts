/**
 * Hard links of an archive: to what came before in it, or to a file that only a layer below has. That one is
 * copied into the new layer first, as overlayfs does when a container links it: an inode cannot be shared
 * between layers.
 */
import { closeSync, constants, readSync, writeSync } from 'node:fs';
import { nextData } from '../../native/tree-copy.ts';
import { readLinkAt, statAt } from '../../native/tree-read.ts';
import {
  chmodAt,
  chownAt,
  linkAt,
  makeNodeAt,
  setTimesAt,
  symlinkAt,
  truncateFd,
} from '../../native/tree-write.ts';
import { archiveError, archiveLimit } from './archive-error.ts';
import { joinPath, type LayerPath, layerPath } from './entry-path.ts';
import { isDirectory, isRegular, isSymlink } from './file-kinds.ts';
import type { Job } from './layer-writer.ts';
import { type LowerFile, withLowerFile } from './lower-layers.ts';
import { finishFile, openNewFile } from './new-file.ts';
import type { TarEntry } from './tar-entry.ts';

const { S_IFMT } = constants;

const COPY_BYTES = 1 << 20;

/**
 * The inode has its owner and mode from its first name; a second one changes nothing of it.
 * @param path - where the link is to be.
 * @throws MydockerError `invalid-argument` when the target is nowhere, or is a directory.
 */
export function writeHardLink(job: Job, entry: TarEntry, path: LayerPath): void {
  const target = layerPath(entry.name, entry.linkName, 'link target', job.limits);
  if (target.length === 0) throw archiveError(entry.name, 'it is a hard link to the root');
  const found = job.tree.find(entry.name, target);
  if (found === undefined) {
    const where = job.below.length === 0 ? '' : ' nor in a layer below';
    throw archiveError(entry.name, `the target of the hard link is not in the archive before it${where}`);
  }
  const isFolder = found.kind === 'directory' || (found.kind === 'own' && isDirectory(found.status));
  if (isFolder) throw archiveError(entry.name, 'it is a hard link to a directory');
  const place = found.kind === 'own' ? found.path : found.file.path;
  job.tree.inParent(entry.name, place, ({ parentFd: targetFd, base: targetBase }) => {
    if (found.kind === 'file') copyUp(job, entry, found.file, targetFd, targetBase);
    const inode = statAt(targetFd, targetBase)?.inode;
    job.tree.inParent(entry.name, path, ({ parentFd, base }) => {
      if (statAt(parentFd, base)?.inode === inode) return;
      job.tree.clear(parentFd, base);
      linkAt(targetFd, targetBase, parentFd, base);
    });
  });
}

function copyUp(job: Job, entry: TarEntry, file: LowerFile, parentFd: number, base: Buffer): void {
  const { status } = file;
  if (isRegular(status)) {
    job.unpackedBytes += copyFile(job, entry, file, parentFd, base);
    return;
  }
  if (isSymlink(status)) {
    symlinkAt(readLinkAt(file.layer, joinPath(file.path)), parentFd, base);
    chownAt(parentFd, base, status.uid, status.gid);
  } else {
    makeNodeAt(parentFd, base, (status.mode & S_IFMT) | 0o600, status.deviceMajor, status.deviceMinor);
    chownAt(parentFd, base, status.uid, status.gid);
    chmodAt(parentFd, base, status.mode & 0o7777);
  }
  setTimesAt(parentFd, base, status.mtimeNs);
}

/** Holes stay holes. @returns bytes of data copied. */
function copyFile(job: Job, entry: TarEntry, file: LowerFile, parentFd: number, base: Buffer): number {
  return withLowerFile(file, (from, meta) => {
    const to = openNewFile(parentFd, base, meta);
    try {
      const maxBytes = job.limits.unpackedBytes - job.unpackedBytes;
      const copied = copyData(entry, from, to, maxBytes);
      truncateFd(to, file.status.sizeBytes);
      finishFile(to, meta);
      return copied;
    } finally {
      closeSync(to);
    }
  });
}

function copyData(entry: TarEntry, from: number, to: number, maxBytes: number): number {
  const buffer = Buffer.allocUnsafe(COPY_BYTES);
  let copied = 0;
  for (let region = nextData(from, 0); region !== undefined; region = nextData(from, region.end)) {
    copied += region.end - region.start;
    if (copied > maxBytes)
      throw archiveLimit(entry.name, 'what it links to is larger than what may be unpacked');
    for (let at = region.start; at < region.end; ) {
      const size = readSync(from, buffer, 0, Math.min(buffer.length, region.end - at), at);
      if (size === 0) break;
      for (let done = 0; done < size; ) done += writeSync(to, buffer, done, size - done, at + done);
      at += size;
    }
  }
  return copied;
}

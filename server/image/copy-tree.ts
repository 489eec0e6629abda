/**
 * Copies a tree that an image or a container has shaped, or the merged view of several, with everything that
 * a file is: owner, mode, attributes, time, holes, hard links, devices. By descriptors alone; no symlink is
 * followed, no mount entered. Of several directories the first that has a name wins, as with overlayfs.
 */
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  readSync,
  writeSync,
} from 'node:fs';
import { SyscallError } from '../../native/errno.ts';
import { cloneFile, copyRange, copyXattr, nextData } from '../../native/tree-copy.ts';
import {
  getXattrFd,
  listXattrs,
  OPEN,
  openAt2,
  RESOLVE,
  readDirFd,
  readLinkAt,
} from '../../native/tree-read.ts';
import {
  chmodAt,
  chmodFd,
  chownAt,
  chownFd,
  linkAt,
  makeDirAt,
  makeNodeAt,
  setTimesAt,
  setTimesFd,
  symlinkAt,
} from '../../native/tree-write.ts';

const { S_IFMT, S_IFDIR, S_IFLNK, S_IFREG, S_IFCHR } = constants;

const PERMISSIONS = 0o7777;

const WITHIN = RESOLVE.beneath | RESOLVE.noSymlinks | RESOLVE.noMagicLinks | RESOLVE.noMounts;
const HOW_DIRECTORY = { flags: OPEN.readOnly | OPEN.directory | OPEN.noFollow, resolve: WITHIN };
const HOW_FILE = { flags: OPEN.readOnly | OPEN.noFollow | OPEN.nonBlock, resolve: WITHIN };
const HOW_NEW_FILE = {
  flags: OPEN.writeOnly | OPEN.create | OPEN.exclusive | OPEN.noFollow,
  mode: 0o600,
  resolve: WITHIN,
};

const OPAQUE_XATTR = 'trusted.overlay.opaque';
/** Marks of overlayfs mean the layer they are in, not the file. */
const OVERLAY_MARK = /^(?:trusted|user)\.overlay\./;
const BUFFER_BYTES = 256 * 1024;

/** What was copied. */
export interface CopySummary {
  /** Names, directories included. */
  readonly entries: number;
  /** Files whose blocks are shared with the source's. */
  readonly clonedFiles: number;
}

interface Job {
  /** Where each file of several names is kept by a number, until all names are there. */
  readonly linksFd: number;
  /** Those numbers by device and inode. */
  readonly links: Map<string, Buffer>;
  /** Cleared by the first file that cannot be: the others cannot either. */
  clones: boolean;
  ranges: boolean;
  readonly trail: Buffer[];
  entries: number;
  clonedFiles: number;
}

/**
 * Fills an empty directory, and gives it the look of the first source.
 * @param sources - open directories, the topmost first; at least one.
 * @param targetFd - open, empty.
 * @param linksFd - another empty directory of the same file system; the caller removes what is left in it.
 * @throws SyscallError with the path of what could not be copied.
 */
export function copyTree(sources: readonly number[], targetFd: number, linksFd: number): CopySummary {
  const job: Job = {
    ...{ linksFd, links: new Map(), clones: true, ranges: true, trail: [] },
    ...{ entries: 0, clonedFiles: 0 },
  };
  try {
    copyDirectory(job, sources, targetFd);
  } catch (error) {
    throw withPath(error, job.trail);
  }
  return { entries: job.entries, clonedFiles: job.clonedFiles };
}

function copyDirectory(job: Job, sources: readonly number[], targetFd: number): void {
  const seen = new Set<string>();
  for (const [index, sourceFd] of sources.entries()) {
    for (let batch = readDirFd(sourceFd); batch !== undefined; batch = readDirFd(sourceFd)) {
      for (const { name } of batch) {
        const key = name.toString('latin1');
        if (seen.has(key)) continue;
        if (sources.length > 1) seen.add(key);
        job.trail.push(name);
        copyEntry(job, sources.slice(index), name, targetFd);
        job.trail.pop();
      }
    }
  }
  const [topFd = -1] = sources;
  const status = fstatSync(topFd, { bigint: true });
  applyMeta(topFd, targetFd, status);
  job.entries += 1;
}

/** @param sources - the first one has the name. */
function copyEntry(job: Job, sources: readonly number[], name: Buffer, targetFd: number): void {
  const [sourceFd = -1] = sources;
  const status = statusAt(sourceFd, name);
  const kind = Number(status.mode) & S_IFMT;
  if (kind === S_IFDIR) {
    copySubdirectory(job, sources, name, targetFd);
    return;
  }
  // To overlayfs it says that the name is gone.
  if (kind === S_IFCHR && status.rdev === 0n) return;
  job.entries += 1;
  if (status.nlink > 1n && linkKnown(job, status, targetFd, name)) return;
  if (kind === S_IFREG) copyFile(job, sourceFd, name, targetFd);
  else if (kind === S_IFLNK) symlinkAt(readLinkAt(sourceFd, name), targetFd, name);
  else makeNodeAt(targetFd, name, kind | 0o600, major(status.rdev), minor(status.rdev));
  if (kind !== S_IFREG) {
    chownAt(targetFd, name, Number(status.uid), Number(status.gid));
    if (kind !== S_IFLNK) chmodAt(targetFd, name, Number(status.mode) & PERMISSIONS);
    setTimesAt(targetFd, name, status.mtimeNs);
  }
  if (status.nlink > 1n) keepLink(job, status, targetFd, name);
}

/** The directories of this name that are merged: until something else has it, or one hides what is below. */
function copySubdirectory(job: Job, sources: readonly number[], name: Buffer, targetFd: number): void {
  const opened: number[] = [];
  try {
    for (const fd of sources) {
      const directory = openDirectory(fd, name);
      if (directory === 'none') continue;
      if (directory === 'other') break;
      opened.push(directory);
      if (sources.length > 1 && getXattrFd(directory, OPAQUE_XATTR)?.toString() === 'y') break;
    }
    makeDirAt(targetFd, name, 0o700);
    const made = openAt2(targetFd, name, HOW_DIRECTORY);
    opened.push(made);
    copyDirectory(job, opened.slice(0, -1), made);
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

function openDirectory(parentFd: number, name: Buffer): number | 'none' | 'other' {
  try {
    return openAt2(parentFd, name, HOW_DIRECTORY);
  } catch (error) {
    if (error instanceof SyscallError && error.errno === 'ENOENT') return 'none';
    if (error instanceof SyscallError && ['ENOTDIR', 'ELOOP'].includes(error.errno)) return 'other';
    throw error;
  }
}

function copyFile(job: Job, sourceFd: number, name: Buffer, targetFd: number): void {
  const from = openAt2(sourceFd, name, HOW_FILE);
  try {
    const status = fstatSync(from, { bigint: true });
    const to = openAt2(targetFd, name, HOW_NEW_FILE);
    try {
      copyContent(job, from, to, Number(status.size));
      applyMeta(from, to, status);
    } finally {
      closeSync(to);
    }
  } finally {
    closeSync(from);
  }
}

function copyContent(job: Job, from: number, to: number, sizeBytes: number): void {
  if (sizeBytes === 0) return;
  if (job.clones && cloneFile(from, to)) {
    job.clonedFiles += 1;
    return;
  }
  job.clones = false;
  // What lies between regions stays a hole.
  ftruncateSync(to, sizeBytes);
  let region = nextData(from, 0);
  while (region !== undefined && region.start < sizeBytes) {
    const end = Math.min(region.end, sizeBytes);
    for (let at = region.start; at < end; ) {
      const copied = copyPart(job, from, to, at, end - at);
      if (copied === 0) return;
      at += copied;
    }
    region = end < sizeBytes ? nextData(from, end) : undefined;
  }
}

const buffer = Buffer.alloc(BUFFER_BYTES);

/** @returns bytes copied; 0 when the source ends before its size. */
function copyPart(job: Job, from: number, to: number, at: number, size: number): number {
  if (job.ranges) {
    try {
      return copyRange(from, to, at, size);
    } catch (error) {
      const cannot = ['EXDEV', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];
      if (!(error instanceof SyscallError && cannot.includes(error.errno))) throw error;
      job.ranges = false;
    }
  }
  const read = readSync(from, buffer, 0, Math.min(size, buffer.length), at);
  for (let done = 0; done < read; ) done += writeSync(to, buffer, done, read - done, at + done);
  return read;
}

/**
 * Gives a file the look of another. Owner before attributes and mode: a change of owner clears setuid bits and file
 * capabilities.
 * @throws SyscallError naming what the file system refuses.
 */
export function applyMeta(from: number, to: number, status: BigIntStats): void {
  chownFd(to, Number(status.uid), Number(status.gid));
  for (const name of listXattrs(from)) {
    if (OVERLAY_MARK.test(name)) continue;
    try {
      copyXattr(from, to, name);
    } catch (error) {
      // Labels of a security module that is off here; files mean the same without.
      const lacking = error instanceof SyscallError && ['ENOTSUP', 'EOPNOTSUPP'].includes(error.errno);
      if (!lacking || name === 'security.capability') throw error;
    }
  }
  chmodFd(to, Number(status.mode) & PERMISSIONS);
  setTimesFd(to, status.mtimeNs);
}

const keyOf = ({ dev, ino }: BigIntStats): string => `${dev}:${ino}`;

/** @returns whether another name of the same file was there already. */
function linkKnown(job: Job, status: BigIntStats, targetFd: number, name: Buffer): boolean {
  const known = job.links.get(keyOf(status));
  if (known === undefined) return false;
  linkAt(job.linksFd, known, targetFd, name);
  return true;
}

function keepLink(job: Job, status: BigIntStats, targetFd: number, name: Buffer): void {
  const kept = Buffer.from(String(job.links.size));
  linkAt(targetFd, name, job.linksFd, kept);
  job.links.set(keyOf(status), kept);
}

function statusAt(dirFd: number, name: Buffer): BigIntStats {
  return lstatSync(Buffer.concat([Buffer.from(`/proc/self/fd/${dirFd}/`), name]), { bigint: true });
}

/** As gnu_dev_major(3) and gnu_dev_minor(3) take a number apart. */
const major = (rdev: bigint): number => Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n));
const minor = (rdev: bigint): number => Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n));

function withPath(error: unknown, trail: readonly Buffer[]): unknown {
  const path = `/${trail.map((name) => name.toString()).join('/')}`;
  if (error instanceof SyscallError) return new SyscallError(error.syscall, error.errnoNumber, path);
  return error instanceof Error ? new Error(`${path}: ${error.message}`, { cause: error }) : error;
}

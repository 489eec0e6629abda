/** Whether what is to be mounted into a container can be, as far as that can be known before it is started. */
import { statSync } from 'node:fs';
import type { ContainerConfig, TmpfsMount } from '../model/container.ts';
import { type ErrorDetails, invalidArgument, type MydockerError, quoteId } from '../model/error.ts';
import { checkIdMap } from '../model/id-map.ts';
import { parseVolumeName } from '../model/volume.ts';

const MAX_MOUNTS = 512;
/** Linux's limit with the NUL: PATH_MAX. */
const MAX_PATH_BYTES = 4095;
/** The least that holds anything: a page. */
const MIN_TMPFS_BYTES = 4096n;

/** What a tmpfs may be told, tmpfs(5) and mount(8); what is about the host alone is not among it. */
const TMPFS_OPTION =
  /^(?:exec|noexec|suid|nosuid|dev|nodev|rw|ro|noatime|nodiratime|relatime|strictatime|size=\d{1,3}%|(?:uid|gid)=\d{1,10}|nr_(?:inodes|blocks)=\d{1,15}[kmg]?)$/;

/** An option that cannot work, by name and value. */
export function invalid(what: string, value: string, why: string, details: ErrorDetails = {}): MydockerError {
  return invalidArgument(`invalid ${what} ${quoteId(value)}: ${why}`, {
    reason: 'CONFIG_INVALID',
    metadata: { option: what },
    ...details,
  });
}

/** @throws MydockerError `invalid-argument` unless it is absolute, has no NUL and is short enough for the kernel. */
export function checkPath(what: string, path: string): void {
  if (!path.startsWith('/')) throw invalid(what, path, 'it is not absolute');
  if (path.includes('\0')) throw invalid(what, path, 'it has a NUL in it');
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw invalid(what, path, 'it is too long');
}

/** @throws MydockerError `invalid-argument` for the first thing that is wrong. */
export function checkMounts({
  mounts,
  volumes = [],
  tmpfs = [],
  shmSizeBytes = MIN_TMPFS_BYTES,
}: ContainerConfig): void {
  const all = [...mounts, ...volumes, ...tmpfs];
  if (all.length > MAX_MOUNTS)
    throw invalid('mounts', String(all.length), `there are more than ${MAX_MOUNTS}`);
  for (const { source, requireSource } of mounts) {
    if (!source.startsWith('/')) throw invalid('mount source', source, 'it is not an absolute path');
    checkPath('mount source', source);
    if (requireSource === true) checkSource(source);
  }
  for (const { volume, subpath } of volumes) {
    parseVolumeName(volume);
    if (subpath !== undefined) checkSubpath(subpath);
  }
  for (const { idMap, destination } of [...mounts, ...volumes])
    if (idMap !== undefined) checkIdMap(idMap, destination);
  for (const mount of tmpfs) checkTmpfs(mount);
  if (shmSizeBytes < MIN_TMPFS_BYTES)
    throw invalid('size of /dev/shm', String(shmSizeBytes), 'it is below 4 KiB', { hint: 'for example 64m' });
  const seen = new Set<string>();
  for (const { destination } of all) {
    checkDestination(destination);
    if (seen.has(destination)) throw invalid('mount destination', destination, 'it is given twice');
    seen.add(destination);
  }
}

/** @throws MydockerError `invalid-argument` (MOUNT_SOURCE_NOT_FOUND) when it is not there. */
function checkSource(source: string): void {
  if (statSync(source, { throwIfNoEntry: false }) === undefined)
    throw invalid('mount source', source, 'there is no such file or directory', {
      reason: 'MOUNT_SOURCE_NOT_FOUND',
      hint: 'make it first; -v makes a missing folder',
    });
}

function checkSubpath(subpath: string): void {
  checkPath('volume subpath', `/${subpath}`);
  if (subpath.startsWith('/') || subpath.split('/').includes('..'))
    throw invalid('volume subpath', subpath, 'it is not a relative path within the volume');
}

/** Of what the user gives and of what an image says is a volume alike. */
function checkDestination(destination: string): void {
  checkPath('mount destination', destination);
  if (destination === '/') throw invalid('mount destination', destination, 'it is the root of the container');
  if (/^\/(?:proc|sys)(?:\/|$)/.test(destination))
    throw invalid('mount destination', destination, "the kernel's own files are there");
}

function checkTmpfs({ sizeBytes, mode, options }: TmpfsMount): void {
  if (sizeBytes !== undefined && sizeBytes < MIN_TMPFS_BYTES)
    throw invalid('size of a tmpfs', String(sizeBytes), 'it is below 4 KiB', { hint: 'for example 64m' });
  if (mode !== undefined && mode > 0o7777)
    throw invalid('mode of a tmpfs', mode.toString(8), 'it has more than the bits 7777');
  const [bad] = options.filter((option) => !TMPFS_OPTION.test(option));
  if (bad !== undefined)
    throw invalid('option of a tmpfs', bad, 'there is no such option', {
      hint: 'size, mode, uid, gid, nr_inodes, nr_blocks, ro, exec, suid, dev, noatime',
    });
}

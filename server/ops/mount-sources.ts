/** The host's side of a container's mounts: there, or made. */
import { mkdirSync, readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import type { BindMount } from '../model/container.ts';
import { cannot, type ErrorDetails, type MydockerError } from '../model/error.ts';
import { statusWithin } from '../snapshot/look-within.ts';
import { sourceKey } from '../spec/spec-mounts.ts';

/** Keys of the sources that are files; all others are folders. */
export function fileSources(mounts: readonly BindMount[]): Set<string> {
  return new Set(mounts.filter(isFile).map(({ source, subpath }) => sourceKey(source, subpath)));
}

/** What is no folder, or not there, is no file. */
function isFile({ source, subpath }: BindMount): boolean {
  return (subpath === undefined ? status(source) : statusWithin(source, subpath))?.isDirectory() === false;
}

const status = (source: string): Stats | undefined => statSync(source, { throwIfNoEntry: false });

const isThere = (source: string): boolean => status(source) !== undefined;

/**
 * As with Docker, a missing source of a mount is made, as a folder, unless it is required.
 * @param name - of the container.
 * @param volumes - folder of the server's own volumes.
 * @throws MydockerError `failed-precondition`.
 */
export function makeSources(name: string, mounts: readonly BindMount[], volumes: string): void {
  for (const mount of mounts) {
    const { source, destination, requireSource } = mount;
    // Those of volumes are made by whoever fills them.
    if (source.startsWith(`${volumes}/`)) continue;
    if (isThere(source)) {
      refuseUnshared(name, mount);
      continue;
    }
    if (requireSource === true)
      throw refused(name, `mount ${destination}: ${source} is not there`, {
        reason: 'MOUNT_SOURCE_NOT_FOUND',
        hint: 'make it first; -v makes a missing folder',
      });
    try {
      mkdirSync(source, { recursive: true });
    } catch (cause) {
      const errno = (cause as NodeJS.ErrnoException).code ?? 'EIO';
      throw refused(name, `mount ${destination}: make ${source}: ${errno}`, {
        reason: 'LAUNCH_FAILED',
        cause,
      });
    }
  }
}

/** The kernel would mount it all the same, and nothing would show on the other side. */
function refuseUnshared(name: string, { source, destination, propagation }: BindMount): void {
  if (propagation !== 'shared' && propagation !== 'rshared') return;
  const { mountPoint, shared } = mountOf(realpathSync(source), readFileSync('/proc/self/mountinfo', 'utf8'));
  if (!shared)
    throw refused(name, `mount ${destination}: ${source} is mounted on ${mountPoint}, which is not shared`, {
      reason: 'MOUNT_NOT_SHARED',
      hint: `mount --make-rshared ${mountPoint}`,
    });
}

/** The mount that a path is on, proc_pid_mountinfo(5): of those on its way the deepest, of two there the later one. */
function mountOf(path: string, table: string): { mountPoint: string; shared: boolean } {
  let found = { mountPoint: '', shared: false };
  for (const line of table.split('\n')) {
    const [, , , , escaped = '', , ...rest] = line.split(' ');
    const mountPoint = escaped.replace(/\\(\d{3})/g, (_, digits) =>
      String.fromCharCode(Number.parseInt(digits, 8)),
    );
    const isOnWay = mountPoint === '/' || path === mountPoint || path.startsWith(`${mountPoint}/`);
    if (mountPoint === '' || !isOnWay || mountPoint.length < found.mountPoint.length) continue;
    found = {
      mountPoint,
      shared: rest.slice(0, rest.indexOf('-')).some((field) => field.startsWith('shared:')),
    };
  }
  return found;
}

const refused = (name: string, why: string, details: ErrorDetails): MydockerError =>
  cannot('failed-precondition', 'start', 'container', name, why, { ...details, exitStatus: 125 });

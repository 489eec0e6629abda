/** The host's side of a container's mounts: there, or made. */
import { mkdirSync, type Stats, statSync } from 'node:fs';
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
  for (const { source, destination, requireSource } of mounts) {
    // Those of volumes are made by whoever fills them.
    if (source.startsWith(`${volumes}/`) || isThere(source)) continue;
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

const refused = (name: string, why: string, details: ErrorDetails): MydockerError =>
  cannot('failed-precondition', 'start', 'container', name, why, { ...details, exitStatus: 125 });

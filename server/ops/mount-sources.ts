/** The host's side of a container's mounts: there, or made. */
import { mkdirSync, statSync } from 'node:fs';
import type { ContainerRecord } from '../model/container.ts';
import { cannot, type ErrorDetails, type MydockerError } from '../model/error.ts';

const isThere = (source: string): boolean => statSync(source, { throwIfNoEntry: false }) !== undefined;

/**
 * As with Docker, a missing source of a mount is made, as a folder, unless it is required.
 * @throws MydockerError `failed-precondition`.
 */
export function makeSources({ name, config: { mounts } }: ContainerRecord): void {
  for (const { source, destination, requireSource } of mounts) {
    if (isThere(source)) continue;
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

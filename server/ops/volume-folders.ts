/**
 * Where volumes lie.
 *
 *   volumes/<name>/data          what is mounted; complete or not there
 *   volumes/<name>/volume.json   labels and options, where there are any
 *   volumes/<name>/copy/         is filled by a worker, or was when the server died
 *   volumes/.rm-<random>/        taken out of sight, then deleted behind
 */
import { randomBytes } from 'node:crypto';
import type { Paths } from './engine.ts';

export const volumesFolder = (paths: Paths): string => `${paths.root}/volumes`;
/** Everything of a volume. */
export const volumeFolder = (paths: Paths, name: string): string => `${volumesFolder(paths)}/${name}`;
/** What is mounted of a volume. */
export const volumeData = (paths: Paths, name: string): string => `${volumeFolder(paths, name)}/data`;

/** Where what is to be deleted is put; a volume of the same name may come and go meanwhile. */
export const awayFolder = (paths: Paths): string =>
  `${volumesFolder(paths)}/.rm-${randomBytes(16).toString('hex')}`;

/**
 * A copy of what was said about a volume, beside its data: for the day on which metadata is lost. A volume of which nothing
 * was said has none.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { syncFolder } from '../image/sync-folder.ts';
import { isNoSpace, noSpace } from '../model/no-space.ts';
import type { VolumeRecord } from '../model/volume.ts';
import { decodeJson, encodeJson } from '../store/codec.ts';
import type { Paths } from './engine.ts';
import { volumeFolder, volumesFolder } from './volume-folders.ts';

const fileOf = (paths: Paths, name: string): string => `${volumeFolder(paths, name)}/volume.json`;

/** What of a record nothing else knows. */
export type Said = Pick<VolumeRecord, 'labels' | 'options' | 'anonymous'>;

/**
 * Writes it, durably, before the record.
 * @throws MydockerError `resource-exhausted` for a full disk; nothing is left then.
 */
export async function writeVolumeFile(
  paths: Paths,
  { name, labels, options, anonymous }: VolumeRecord,
): Promise<void> {
  if (Object.keys(labels).length === 0 && options === undefined) return;
  const folder = volumeFolder(paths, name);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(fileOf(paths, name), encodeJson({ labels, options, anonymous }), {
      mode: 0o600,
      flush: true,
    });
    await syncFolder(folder);
    await syncFolder(volumesFolder(paths));
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw isNoSpace(error) ? noSpace('create', 'volume', name, { cause: error }) : error;
  }
}

/** @returns undefined where there is none, or it cannot be read. */
export function readVolumeFile(paths: Paths, name: string): Said | undefined {
  try {
    const value = decodeJson(readFileSync(fileOf(paths, name), 'utf8')) as Partial<Said> | null;
    const { labels, options, anonymous } = value ?? {};
    if (!isTexts(labels) || typeof anonymous !== 'boolean') return undefined;
    if (options === undefined) return { labels, anonymous };
    return isTexts(options) ? { labels, anonymous, options } : undefined;
  } catch {
    return undefined;
  }
}

const isTexts = (value: unknown): value is Readonly<Record<string, string>> =>
  typeof value === 'object' &&
  value !== null &&
  Object.values(value).every((text) => typeof text === 'string');

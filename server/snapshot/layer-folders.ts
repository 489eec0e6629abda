/** Where layers lie, for every driver: the init layer first, then the image's. */
import { type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { dataLoss } from '../model/error.ts';
import { initLayerFolder } from './init-layer.ts';

const layerFolder = (root: string, serial: bigint): string => join(root, 'layers', String(serial));

/** Folders of a stack, topmost first. @param layers - serials, topmost first. */
export function layerFolders(root: string, layers: readonly bigint[]): string[] {
  return [initLayerFolder(root), ...layers.map((serial) => layerFolder(root, serial))];
}

/** What a root directory looks like. */
export type RootLook = Pick<Stats, 'mode' | 'uid' | 'gid'>;

/**
 * What the root of a stack looks like: the image's topmost, not the init layer's.
 * @throws MydockerError `data-loss` (LAYER_MISSING) when one of the layers is not there.
 */
export function rootLook(root: string, layers: readonly bigint[]): RootLook {
  const statuses = layers.map((serial) => layerStatus(layerFolder(root, serial), serial));
  return statuses[0] ?? { mode: 0o755, uid: 0, gid: 0 };
}

function layerStatus(folder: string, serial: bigint): Stats {
  const status = statSync(folder, { throwIfNoEntry: false });
  if (status?.isDirectory() === true) return status;
  throw dataLoss(`cannot use layer ${serial}: its folder is gone`, {
    reason: 'LAYER_MISSING',
    hint: 'remove the image and get it again',
  });
}

/**
 * Root filesystems by overlayfs: shared read-only layers below, the init layer on them, the container's own
 * changes on top. Nothing is mounted here; the container's init mounts in its own mount namespace.
 */
import { chmodSync, chownSync, mkdirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { dataLoss } from '../model/error.ts';
import { initLayerFolder } from './init-layer.ts';
import { findMergedDirectory, readMergedFile } from './lookup.ts';
import type { Snapshotter } from './snapshotter.ts';

/**
 * Always given, whatever the kernel's defaults are: the first three put marks into upper directories that
 * tie them to one stack of layers, and xino changes inode numbers where file systems differ.
 */
export const OVERLAY_OPTIONS = 'redirect_dir=off,metacopy=off,index=off,xino=off';

/** @param root - the server's root folder; its init layer must have been made (init-layer.ts). */
export function overlaySnapshotter(root: string): Snapshotter {
  const layerFolder = (serial: bigint): string => join(root, 'layers', String(serial));
  const lowerDirs = (layers: readonly bigint[]): string[] => [
    initLayerFolder(root),
    ...layers.map(layerFolder),
  ];
  const upperDir = (folder: string): string => join(folder, 'upper');

  return {
    prepare: (folder, layers) => {
      const work = join(folder, 'work');
      // Made last: where it is, the rest is as the container left it.
      if (statSync(work, { throwIfNoEntry: false }) !== undefined) return;
      const statuses = layers.map((serial) => layerStatus(layerFolder(serial), serial));
      const upper = upperDir(folder);
      mkdirSync(upper, { recursive: true });
      // The root of a merged tree looks like the topmost directory's, so the image's look is copied there.
      const { mode, uid, gid } = statuses[0] ?? { mode: 0o755, uid: 0, gid: 0 };
      chownSync(upper, uid, gid);
      chmodSync(upper, mode & 0o7777);
      mkdirSync(work, { mode: 0o700 });
    },
    dirs: (folder, layers) => ({
      lowerDirs: lowerDirs(layers),
      upperDir: upperDir(folder),
      workDir: join(folder, 'work'),
      options: OVERLAY_OPTIONS,
    }),
    findDirectory: (tree, path) =>
      findMergedDirectory(typeof tree === 'string' ? [tree] : lowerDirs(tree), path),
    readFile: (folder, layers, path, maxBytes) => {
      const own = folder === undefined ? [] : [upperDir(folder)];
      return readMergedFile([...own, ...lowerDirs(layers)], path, maxBytes);
    },
  };
}

function layerStatus(folder: string, serial: bigint): Stats {
  const status = statSync(folder, { throwIfNoEntry: false });
  if (status?.isDirectory() === true) return status;
  throw dataLoss(`cannot use layer ${serial}: its folder is gone`, {
    reason: 'LAYER_MISSING',
    hint: 'remove the image and get it again',
  });
}

/**
 * Root filesystems by overlayfs: shared read-only layers below, the init layer on them, the container's own
 * changes on top. Nothing is mounted here; the container's init mounts in its own mount namespace.
 */
import { chmodSync, chownSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { layerFolders, rootLook } from './layer-folders.ts';
import { findMergedDirectory, readMergedFile } from './lookup.ts';
import type { Snapshotter } from './snapshotter.ts';

/**
 * Always given, whatever the kernel's defaults are: the first three put marks into upper directories that
 * tie them to one stack of layers, and xino changes inode numbers where file systems differ.
 */
export const OVERLAY_OPTIONS = 'redirect_dir=off,metacopy=off,index=off,xino=off';

/** @param root - the server's root folder; its init layer must have been made (init-layer.ts). */
export function overlaySnapshotter(root: string): Snapshotter {
  const upperDir = (folder: string): string => join(folder, 'upper');
  return {
    prepare: (folder, layers) => {
      const work = join(folder, 'work');
      // Made last: where it is, the rest is as the container left it.
      if (existsSync(work)) return;
      const { mode, uid, gid } = rootLook(root, layers);
      const upper = upperDir(folder);
      mkdirSync(upper, { recursive: true });
      // The root of a merged tree looks like the topmost directory's, so the image's look is copied there.
      chownSync(upper, uid, gid);
      chmodSync(upper, mode & 0o7777);
      mkdirSync(work, { mode: 0o700 });
    },
    // The kernel merges at the mount.
    complete: () => Promise.resolve(),
    rootfs: (folder, layers) => ({
      kind: 'overlay',
      lowerDirs: layerFolders(root, layers),
      upperDir: upperDir(folder),
      workDir: join(folder, 'work'),
      options: OVERLAY_OPTIONS,
    }),
    ownFolder: upperDir,
    hasOwn: (folder, path) => existsSync(join(upperDir(folder), path)),
    findDirectory: (layers, path) => findMergedDirectory(layerFolders(root, layers), path),
    readFile: (folder, layers, path, maxBytes) => {
      const own = folder === undefined ? [] : [upperDir(folder)];
      return readMergedFile([...own, ...layerFolders(root, layers)], path, maxBytes);
    },
  };
}

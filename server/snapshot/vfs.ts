/**
 * Root filesystems as plain directories: a full copy of the layers for every container, for file systems that
 * cannot carry an overlay. Where blocks can be shared (FICLONE) the copy shares them. It is made by a worker at
 * the container's first start; the init layer is copied on top of it, so that the paths which the start mounts
 * on are what they are with an overlay.
 *
 *   containers/<id>/rootfs/    complete or not there
 *   containers/<id>/copy/      is filled by a worker, or was when the server died
 */
import { chmodSync, chownSync, closeSync, existsSync, openSync, renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { keepInitEntries } from './init-entries.ts';
import { layerFolders, rootLook } from './layer-folders.ts';
import { findMergedDirectory, readMergedFile } from './lookup.ts';
import type { CopyFolders, Snapshotter } from './snapshotter.ts';

/**
 * @param root - the server's root folder; its init layer must have been made (init-layer.ts).
 * @param copy - copies a stack of folders in a process of its own.
 */
export function vfsSnapshotter(root: string, copy: CopyFolders): Snapshotter {
  const rootfs = (folder: string): string => join(folder, 'rootfs');
  return {
    prepare: (_folder, layers) => void rootLook(root, layers),
    complete: async (folder, layers, signal) => {
      if (existsSync(rootfs(folder))) {
        keep(rootfs(folder));
        return;
      }
      const { mode, uid, gid } = rootLook(root, layers);
      const workFolder = join(folder, 'copy');
      const tree = await copy({ sources: layerFolders(root, layers), workFolder, signal });
      chownSync(tree, uid, gid);
      chmodSync(tree, mode & 0o7777);
      renameSync(tree, rootfs(folder));
      rmSync(workFolder, { recursive: true, force: true });
      // What the container writes must not be lost with the directory that it is in.
      await sync(folder);
    },
    rootfs: (folder) => ({ kind: 'directory', path: rootfs(folder) }),
    ownFolder: rootfs,
    hasOwn: (folder) => existsSync(rootfs(folder)),
    findDirectory: (layers, path) => findMergedDirectory(layerFolders(root, layers), path),
    readFile: (folder, layers, path, maxBytes) => {
      const own = folder !== undefined && existsSync(rootfs(folder)) ? rootfs(folder) : undefined;
      return readMergedFile(own === undefined ? layerFolders(root, layers) : [own], path, maxBytes);
    },
  };
}

function keep(path: string): void {
  const fd = openSync(path, 'r');
  try {
    keepInitEntries(fd);
  } finally {
    closeSync(fd);
  }
}

async function sync(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

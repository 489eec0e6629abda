/**
 * The init layer: a read-only layer between the image and the container's own changes that holds every path
 * which the start mounts on. An image may ship /dev, /proc or /etc/hosts as a symlink or a device; below
 * this layer it is hidden before anything is opened.
 *
 * overlayfs merges directories and takes owner and mode of a merged one from the topmost layer that has it:
 * /dev, /etc, /proc, /sys are root's and 0755 in every container, whatever the image says. What the image
 * has in /etc stays visible. A directory here over a file or symlink of the image hides that.
 */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { INIT_DIRECTORIES, INIT_FILES, INIT_SYMLINKS } from './init-entries.ts';

/** Grows whenever the content changes, so that running containers keep the one they have. */
const VERSION = 1;

/** Folder of the init layer. */
export function initLayerFolder(root: string): string {
  return join(root, 'layers', `init-${VERSION}`);
}

/**
 * Makes the init layer, once for each root: complete and synced before it has its name.
 * @param root - must hold `layers/`.
 * @throws Error of node:fs when the disk refuses.
 */
export function ensureInitLayer(root: string): void {
  const folder = initLayerFolder(root);
  if (isThere(folder)) return;
  const temporary = join(root, 'layers', `.tmp-init-${VERSION}`);
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary);
  for (const path of INIT_DIRECTORIES) mkdirSync(join(temporary, path));
  for (const path of INIT_FILES) closeSync(openSync(join(temporary, path), 'wx', 0o644));
  for (const [path, target] of INIT_SYMLINKS) symlinkSync(target, join(temporary, path));
  // The umask of this process has no say in what containers see.
  for (const path of ['.', ...INIT_DIRECTORIES]) chmodSync(join(temporary, path), 0o755);
  for (const path of INIT_FILES) chmodSync(join(temporary, path), 0o644);
  for (const path of [...INIT_FILES, ...INIT_DIRECTORIES.toReversed(), '.']) sync(join(temporary, path));
  renameSync(temporary, folder);
  sync(join(root, 'layers'));
}

function isThere(folder: string): boolean {
  try {
    closeSync(openSync(folder, 'r'));
    return true;
  } catch {
    return false;
  }
}

function sync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

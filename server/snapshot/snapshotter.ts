/**
 * What a container's root filesystem is made of and how its files are looked up while nothing is mounted:
 * the interface. overlay.ts is the one there is.
 */

import type { MergedDirectory } from './lookup.ts';

/** What the launch plan mounts; paths only, the plan opens them and mounts by descriptor. */
export interface SnapshotDirs {
  /** Topmost first: the init layer, then the image's layers. */
  readonly lowerDirs: readonly string[];
  readonly upperDir: string;
  readonly workDir: string;
  /** Mount options beside the directories. */
  readonly options: string;
}

/** Makes and describes root filesystems on shared layers. */
export interface Snapshotter {
  /**
   * Makes what a container's own changes are kept in, below its folder; nothing happens where it is already.
   * @param folder - the container's folder; must exist.
   * @param layers - serials, topmost first.
   * @throws MydockerError `data-loss` when a layer is not there.
   */
  prepare(folder: string, layers: readonly bigint[]): void;
  /** What to mount for a container that was prepared. */
  dirs(folder: string, layers: readonly bigint[]): SnapshotDirs;
  /**
   * A directory as a container of an image, or of a rootfs directory, would see it before its first start.
   * @param tree - serials, topmost first, or the path of a rootfs directory.
   * @param path - inside the root.
   * @returns undefined when there is nothing.
   * @throws MydockerError `invalid-argument` when it is no directory.
   */
  findDirectory(tree: readonly bigint[] | string, path: string): MergedDirectory | undefined;
  /**
   * A small file as a container would see it, without mounting anything: symlinks are followed inside the
   * root, whiteouts and opaque directories respected.
   * @param folder - the container's folder; undefined for the image alone.
   * @param path - inside the root.
   * @returns undefined when there is no such file.
   * @throws MydockerError `invalid-argument` when it is no regular file or larger than `maxBytes`.
   */
  readFile(
    folder: string | undefined,
    layers: readonly bigint[],
    path: string,
    maxBytes: number,
  ): Buffer | undefined;
}

/**
 * What a container's root filesystem is made of and how its files are looked up while nothing is mounted: the
 * one interface of storage drivers. overlay.ts and vfs.ts are those that there are; test/conformance holds them
 * to the same promises.
 */
import type { MergedDirectory } from './lookup.ts';

/** What the launch plan mounts; paths only, the plan opens them and mounts by descriptor. */
export type SnapshotRootfs =
  | {
      readonly kind: 'overlay';
      /** Topmost first: the init layer, then the image's layers. */
      readonly lowerDirs: readonly string[];
      readonly upperDir: string;
      readonly workDir: string;
      /** Mount options beside the directories. */
      readonly options: string;
    }
  | { readonly kind: 'directory'; readonly path: string };

/** Copies the merged view of folders, durably. @returns path of the copy, below the work folder. */
export type CopyFolders = (copy: {
  /** The topmost first. */
  readonly sources: readonly string[];
  /** Made where missing, emptied first. */
  readonly workFolder: string;
  /** Ends the copy. */
  readonly signal?: AbortSignal | undefined;
}) => Promise<string>;

/** Makes and describes root filesystems on shared layers. */
export interface Snapshotter {
  /**
   * Makes what a container's own changes are kept in, below its folder, as far as it costs nothing; nothing
   * happens where it is already.
   * @param folder - the container's folder; must exist.
   * @param layers - serials, topmost first.
   * @throws MydockerError `data-loss` when a layer is not there.
   */
  prepare(folder: string, layers: readonly bigint[]): void;
  /**
   * Does what is left to do before a start, which may take long the first time.
   * @param signal - ends it; what was made by then is made again by the next one.
   * @throws MydockerError `resource-exhausted` for a full disk, `data-loss`; the signal's reason.
   */
  complete(folder: string, layers: readonly bigint[], signal?: AbortSignal): Promise<void>;
  /** What to mount for a container that was completed. */
  rootfs(folder: string, layers: readonly bigint[]): SnapshotRootfs;
  /** Where what the container writes lies. */
  ownFolder(folder: string): string;
  /** Whether the container may have another file than its image. @param path - relative. */
  hasOwn(folder: string, path: string): boolean;
  /**
   * A directory as a container of an image would see it before its first start.
   * @param layers - serials, topmost first.
   * @param path - inside the root.
   * @returns undefined when there is nothing.
   * @throws MydockerError `invalid-argument` when it is no directory.
   */
  findDirectory(layers: readonly bigint[], path: string): MergedDirectory | undefined;
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

/**
 * Unpacked layers on the disk: `layers/<serial>/`, complete or not there. What is being made or removed has
 * a name that begins with a dot, and is swept at the next start if the server dies meanwhile.
 *
 *   layers/.tmp-<serial>/      is filled by a worker, then synced by it
 *   layers/<serial>/           renamed, its parent synced; a record names it only after that
 *
 * What is removed goes to `removing/`, see removals.ts.
 */
import { closeSync, openSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../model/digest.ts';
import type { Logger } from '../model/logger.ts';
import type { LaunchWorker } from '../model/worker.ts';
import { ARCHIVE_LIMITS, type ArchiveLimits } from './archive-limits.ts';
import { createRemovals } from './removals.ts';
import { type ArchiveSource, runUnpack } from './run-worker.ts';
import { syncFolder } from './sync-folder.ts';
import type { UnpackResult } from './worker-protocol.ts';

/** Left free for everything else on the disk: the metadata must still be written when a layer filled it. */
const RESERVE_BYTES = 256 * 2 ** 20;
/** On a small disk a part of what is free instead. */
const RESERVE_PART = 0.05;

/** How an archive becomes a layer. */
export interface UnpackOptions {
  /** Serials of the layers under it, topmost first; none for the lowest layer. Also of such without a name. */
  readonly below: readonly bigint[];
  /** The caller compares the diff id: the archive may lack its end marker, see tar-reader.ts. Default false. */
  readonly mayLackEnd?: boolean;
  /** Of the archive as it is, where it was taken from these very bytes. Absent: it is taken now. */
  readonly digest?: Digest;
  /** Waits for the disk: this layer and all that was unpacked before it are durable then. Default true. */
  readonly sync?: boolean;
  /** Kills the worker; what was unpacked is removed by `discard`. */
  readonly signal?: AbortSignal;
}

/** What a sweep did. */
export interface LayerSweep {
  /** Folders that nothing named, now being removed. */
  readonly removed: readonly string[];
  /** Serials that are named and not there. */
  readonly missing: readonly bigint[];
}

export interface LayerStore {
  /** Folder of a layer. */
  folder(serial: bigint): string;
  /** Makes the folders, 0700 also where they exist with another mode. */
  prepare(): Promise<void>;
  /**
   * Unpacks an archive under a name that nobody sees.
   * @param archive - as chunks, or as an open file that the worker reads from where it stands, which moves on as
   * it does (file-position.ts); stays the caller's.
   * @throws MydockerError as run-worker.ts; also after a failure `discard` is to be called.
   */
  unpack(serial: bigint, archive: ArchiveSource, options: UnpackOptions): Promise<UnpackResult>;
  /** Gives an unpacked layer its name, durably. */
  publish(serial: bigint): Promise<void>;
  /** Removes what `unpack` made and nobody wants: who tries again finds the room. A failure goes to the log. */
  discard(serial: bigint): Promise<void>;
  /** Takes a layer away that no record names any more; returns once it has lost its name. */
  remove(serial: bigint): Promise<void>;
  /** Finds what a death left behind: at start, before any other use. */
  sweep(known: ReadonlySet<bigint>): Promise<LayerSweep>;
  /** Empties and removes another folder that a container or an archive has shaped; absent is fine. */
  removeFolder(path: string): Promise<void>;
  /** Resolves when nothing is being removed any more. */
  idle(): Promise<void>;
}

/**
 * @param root - the server's root folder.
 * @param launch - starts workers.
 * @param limits - of each archive; never more than the disk has free.
 */
export function createLayerStore(
  root: string,
  launch: LaunchWorker,
  log: Logger,
  limits: ArchiveLimits = ARCHIVE_LIMITS,
): LayerStore {
  const layers = join(root, 'layers');
  const folder = (serial: bigint): string => join(layers, String(serial));
  const temporary = (serial: bigint): string => join(layers, `.tmp-${serial}`);
  const removals = createRemovals(root, launch, log);
  /** Unpacked and not published yet. */
  const nameless = new Set<bigint>();
  const placeOf = (serial: bigint): string => (nameless.has(serial) ? temporary(serial) : folder(serial));

  return {
    folder,
    prepare: async () => {
      for (const path of [layers, join(root, 'blobs'), join(root, 'blobs', 'sha256')]) {
        await mkdir(path, { recursive: true, mode: 0o700 });
        await chmod(path, 0o700);
      }
      await removals.prepare();
    },
    unpack: async (serial, archive, options) => {
      const path = temporary(serial);
      await mkdir(path, { mode: 0o700 });
      const target = { launch, ...(options.signal === undefined ? {} : { signal: options.signal }) };
      nameless.add(serial);
      const directoryFd = openSync(path, 'r');
      try {
        const below = options.below.map(placeOf);
        const { mayLackEnd = false, sync = true, digest } = options;
        const within = await withinDisk(layers, limits);
        const known = digest === undefined ? {} : { digest };
        const job = { verb: 'unpack', below, mayLackEnd, sync, ...known, limits: within } as const;
        return await runUnpack({ ...target, directoryFd }, job, archive);
      } finally {
        closeSync(directoryFd);
      }
    },
    publish: async (serial) => {
      await rename(temporary(serial), folder(serial));
      nameless.delete(serial);
      await syncFolder(layers);
    },
    discard: (serial) => {
      nameless.delete(serial);
      return removals.discard(temporary(serial));
    },
    remove: (serial) => removals.take(folder(serial)),
    sweep: async (known) => {
      const names = new Set(await readdir(layers));
      const unfinished = [...names].filter((name) => /^\.(?:tmp|rm)-/.test(name));
      const unknown = [...names].filter((name) => /^\d+$/.test(name) && !known.has(BigInt(name)));
      const begun = await removals.resume();
      for (const name of [...unfinished, ...unknown]) await removals.take(join(layers, name));
      return {
        removed: [...begun, ...unfinished, ...unknown],
        missing: [...known].filter((serial) => !names.has(String(serial))),
      };
    },
    removeFolder: removals.run,
    idle: removals.idle,
  };
}

/** Less where the disk has not as much free. */
export async function withinDisk(path: string, limits: ArchiveLimits): Promise<ArchiveLimits> {
  const { bavail, bsize } = await statfs(path);
  const free = bavail * bsize;
  const usable = Math.floor(free - Math.min(RESERVE_BYTES, free * RESERVE_PART));
  return { ...limits, unpackedBytes: Math.min(limits.unpackedBytes, usable) };
}

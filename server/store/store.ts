/**
 * What the metadata store promises, as types: the operations are written against this file, `open.ts`
 * builds it. Reads are synchronous, from memory; a mutation is one atomic batch, acknowledged when durable.
 */
import type { ContainerRecord } from '../model/container.ts';
import type { EventInput, EventRecord } from '../model/event.ts';
import type { BlobRecord, ImageRecord, LayerRecord } from '../model/image.ts';
import type { Logger } from '../model/logger.ts';
import type { NetworkRecord } from '../model/network.ts';
import type { VolumeRecord } from '../model/volume.ts';

/** How a mutation is written. */
export interface WriteOptions {
  /**
   * Default true: resolved when it is on the disk. False: resolved when LevelDB has it, lost by a power
   * failure (not by a kill) unless a later synced mutation came after it. `behind`: seen and resolved at once where
   * nothing else is being written, and written then; for what is true whatever the disk says, and would be found
   * again after a kill. Its event is told once it is written.
   */
  readonly sync?: boolean | 'behind';
  /** Written in the same batch, with the next sequence number. */
  readonly event?: EventInput;
}

/** Fields that the store itself keeps in every record. */
export interface Stored {
  readonly v: 1;
  readonly rev: bigint;
  readonly createdAt: bigint;
  readonly updatedAt: bigint;
}

/** One kind of record, wholly in memory for reads. */
export interface Table<T extends Stored> {
  readonly size: number;
  get(id: string): T | undefined;
  /** Oldest first. A new array each time; the records are shared and never changed in place. */
  list(): T[];
  /** All ids, sorted by code unit: for prefix search. Valid until the next change; not to be modified. */
  ids(): readonly string[];
  /**
   * Adds (`rev` 0n) or replaces (`rev` as last read) a record. The store sets `rev`, `updatedAt` and, where
   * it is 0n, `createdAt`; readers see the record once it is written.
   * @returns the record as stored.
   * @throws MydockerError `aborted` for a stale rev or a change in flight; `already-exists` for a taken id,
   * name or reference; `not-found` when the record to replace is gone; `unavailable` when the write fails.
   */
  put(record: T, options?: WriteOptions): Promise<T>;
  /**
   * Reads, changes and puts; changes of one id through here wait for each other.
   * @param change - gets the newest record; what it throws is thrown, nothing is written. Returning the same
   * object writes nothing.
   * @throws as `put`; `not-found` when there is no such record.
   */
  update(id: string, change: (record: T) => T, options?: WriteOptions): Promise<T>;
  /**
   * Removes a record and its index entries, after the changes of this id that are under way.
   * @returns the removed record, or undefined when there was none.
   */
  delete(id: string, options?: WriteOptions): Promise<T | undefined>;
}

/** Holds a name from before the container's files exist until its record does. Disposing frees an unused one. */
export interface NameReservation extends Disposable {
  readonly name: string;
}

export interface ContainerTable extends Table<ContainerRecord> {
  /** Id of the container that has exactly this name; a reserved name is nobody's yet. */
  idByName(name: string): string | undefined;
  /** Whether a container has or reserves this name. */
  isNameTaken(name: string): boolean;
  /**
   * Takes a name for a container to come, at once and for one winner.
   * @throws MydockerError `already-exists`, its hint naming the holder.
   */
  reserveName(name: string, id: string): NameReservation;
}

export interface ImageTable extends Table<ImageRecord> {
  /** Id of the image that a full reference (`docker.io/library/busybox:latest`) points at. */
  idByReference(reference: string): string | undefined;
  /**
   * Points a full reference at an image, in one batch also taking it from the image that had it.
   * @throws MydockerError `not-found` when the image does not exist.
   */
  setReference(reference: string, id: string, options?: WriteOptions): Promise<ImageRecord>;
  /**
   * Adds an image with all of its references, in one batch also taking them from the images that had them: it is
   * never there without a name, which whoever removes dangling images would take for his.
   * @throws MydockerError `already-exists` when the image does.
   */
  addNamed(record: ImageRecord, options?: WriteOptions): Promise<ImageRecord>;
}

/** Layers by chain id. */
export interface LayerTable extends Table<LayerRecord> {
  /** A folder name for a layer to come: durable before it is returned, never given out twice. */
  allocateSerial(): Promise<bigint>;
}

/** The durable event log. */
export interface EventLog {
  /** Sequence number of the newest event that readers can see; 0n when there was none ever. */
  readonly lastSeq: bigint;
  /** Sequence number from which on nothing was trimmed; events before it may be gone. */
  readonly firstSeq: bigint;
  /** An event without a record. */
  append(event: EventInput, options?: { readonly sync?: boolean }): Promise<EventRecord>;
  /**
   * Events after `seq`, in order: history first, then live ones until the signal aborts, the caller stops
   * or the store closes.
   * @param options - `follow` false ends after history; default true.
   * @throws MydockerError `resource-exhausted` when the reader falls too far behind.
   */
  since(
    seq: bigint,
    options?: { readonly signal?: AbortSignal; readonly follow?: boolean },
  ): AsyncIterableIterator<EventRecord>;
}

/** Small facts about the root as a whole. */
export type MetaKey = 'bootId' | 'instance';

export interface MetaTable {
  get(key: MetaKey): string | undefined;
  set(key: MetaKey, value: string): Promise<void>;
}

/** What opening found wrong; all zero and empty on a good day. */
export interface OpenReport {
  /** True when anything below says that data was lost or rebuilt. */
  readonly damaged: boolean;
  /** Why a loss is suspected, one phrase each. */
  readonly reasons: readonly string[];
  /** LevelDB could not be opened and was repaired; the damaged copy is kept at this path. */
  readonly repairedFrom?: string;
  /** Lines of LevelDB's own log that say what it dropped. */
  readonly dropped: readonly string[];
  /** Container ids whose record came back from their config.json. */
  readonly rebuilt: readonly string[];
  /** What is gone and could not be rebuilt, one phrase each. */
  readonly lost: readonly string[];
  /** Containers on the disk without a record though nothing was lost: half made or half removed; to be swept. */
  readonly orphans: readonly string[];
}

/** A container as its own folder remembers it. */
export interface Recoverable {
  readonly id: string;
  /** Parsed config.json; not trusted, checked before use. */
  readonly record: unknown;
}

export interface OpenOptions {
  /** The root folder; LevelDB lives in its `meta/`. Must exist. */
  readonly root: string;
  /** Reads the config.json of every folder below containers/; called once at each open. */
  readonly recoverable?: () => Promise<readonly Recoverable[]>;
  /** Highest serial that exists as a folder below layers/, so that it is not given out again after a loss. */
  readonly highestSerial?: bigint;
  readonly log?: Logger;
  /** Most events kept; default 10,000. */
  readonly maxEvents?: number;
}

export interface Store extends AsyncDisposable {
  readonly openReport: OpenReport;
  readonly containers: ContainerTable;
  readonly images: ImageTable;
  readonly layers: LayerTable;
  readonly blobs: Table<BlobRecord>;
  /** By name. */
  readonly volumes: Table<VolumeRecord>;
  readonly networks: Table<NetworkRecord>;
  readonly events: EventLog;
  readonly meta: MetaTable;
  /** Makes everything acknowledged so far durable, also what was written with `sync: false`. */
  flush(): Promise<void>;
  /** Waits for what is being written, ends all event readers, writes the checkpoint, frees the lock. */
  close(): Promise<void>;
}

/**
 * The layers of an image that is being loaded, one on the other: shared with the images that have them, else
 * unpacked once, also where two clients load the same at the same time. The disk is waited for once, with the
 * topmost layer; only then are they recorded.
 */
import { failpoint } from '../failpoint.ts';
import { watchPosition } from '../image/file-position.ts';
import type { ArchiveSource } from '../image/run-worker.ts';
import { type ContentDigest, chainIdOn, type Digest, isDigest } from '../model/digest.ts';
import { internal, invalidArgument, MydockerError } from '../model/error.ts';
import type { ImageLayer, LayerRecord } from '../model/image.ts';
import { nowNs } from '../model/time.ts';
import { UndoStack } from '../model/undo.ts';
import { changeLayers, type Lease } from './garbage.ts';
import type { ImageEngine } from './image-engine.ts';
import { inLayer } from './load-error.ts';

/** A layer as it was sent. */
export interface PackedLayer {
  /** Of the bytes as they are. */
  readonly digest: ContentDigest;
  readonly sizeBytes: number;
  /** What its content must have. */
  readonly diffId: Digest;
  /** What it is called in reports. */
  readonly reportAs: ContentDigest;
  /** Its bytes; asked for once, where the layer is not there. */
  open(): Promise<LayerInput>;
  /** Not needed for this layer any more; before its bytes are read, and where they are not. */
  release(): Promise<void>;
}

/** The bytes of a layer. To be disposed of. */
export interface LayerInput extends AsyncDisposable {
  readonly archive: ArchiveSource;
  /** How much of it is unpacked, in bytes; undefined: there is something else to tell. */
  readonly position: () => number | undefined;
  /** Resolves once it is known that the bytes have the digest; rejects where they do not. */
  readonly checked: Promise<void>;
}

/** What happens to a layer. */
export interface LayerProgress {
  readonly digest: ContentDigest;
  readonly stage: 'unpacking' | 'present' | 'done';
  readonly doneBytes: bigint;
  readonly totalBytes: bigint;
}

/** What a load of layers works with. */
export interface LayerLoad {
  readonly lease: Lease;
  /** Must not wait. */
  readonly report: { progress(progress: LayerProgress): void };
  readonly signal: AbortSignal | undefined;
}

interface StackedLayer {
  readonly packed: PackedLayer;
  readonly diffId: Digest;
  readonly chainId: Digest;
  readonly parent: Digest | undefined;
}

/** Unpacked under a name that nobody sees. */
interface Unpacked extends StackedLayer {
  readonly serial: bigint;
  readonly sizeBytes: bigint;
}

/**
 * Brings layers here; durable when it returns, and kept by the lease.
 * @param packed - base first.
 * @returns them as an image has them.
 * @throws MydockerError naming the layer and the entry; nothing is left then.
 */
export function loadLayers(
  engine: ImageEngine,
  packed: readonly PackedLayer[],
  load: LayerLoad,
): Promise<ImageLayer[]> {
  const stack = stacked(packed);
  const [base] = stack;
  if (base === undefined) return Promise.resolve([]);
  // Who comes second with the same base waits, and finds what it shares.
  return engine.queues.run('image', `layers on ${base.chainId}`, async () => {
    const unpacked: Unpacked[] = [];
    try {
      await unpackMissing(engine, stack, load, unpacked);
      load.signal?.throwIfAborted();
      await changeLayers(engine, async () => {
        for (const layer of unpacked) await record(engine, layer);
      });
      return stack.map(({ diffId, chainId }) => ({ diffId, chainId, serial: serialOf(engine, chainId) }));
    } finally {
      // Nothing is there any more where a layer got its name.
      await Promise.all(unpacked.map(({ serial }) => engine.layers.discard(serial)));
    }
  });
}

function stacked(packed: readonly PackedLayer[]): StackedLayer[] {
  const stack: StackedLayer[] = [];
  for (const layer of packed) {
    const { diffId } = layer;
    const parent = stack.at(-1)?.chainId;
    stack.push({ packed: layer, diffId, parent, chainId: chainIdOn(parent, diffId) });
  }
  return stack;
}

function serialOf({ store }: ImageEngine, chainId: Digest): bigint {
  const layer = store.layers.get(chainId);
  if (layer !== undefined) return layer.serial;
  throw internal(`cannot load layer ${chainId}: it is gone again`, { reason: 'LAYER_MISSING' });
}

/** @param unpacked - grows with each layer that is begun, so that it can be discarded. */
async function unpackMissing(
  engine: ImageEngine,
  stack: readonly StackedLayer[],
  { lease, report, signal }: LayerLoad,
  unpacked: Unpacked[],
): Promise<void> {
  const found: (LayerRecord | undefined)[] = [];
  for (const { chainId } of stack) found.push(await lease.findLayer(chainId));
  const last = found.lastIndexOf(undefined);
  const below: bigint[] = [];
  for (const [index, layer] of stack.entries()) {
    signal?.throwIfAborted();
    const { packed } = layer;
    const digest = packed.reportAs;
    const totalBytes = BigInt(packed.sizeBytes);
    const present = found[index];
    if (present === undefined) {
      report.progress({ digest, stage: 'unpacking', doneBytes: 0n, totalBytes });
      const serial = await engine.store.layers.allocateSerial();
      unpacked.push({ ...layer, serial, sizeBytes: 0n });
      await failpoint('load.unpack');
      const progress = (done: number): void =>
        report.progress({ digest, stage: 'unpacking', doneBytes: BigInt(done), totalBytes });
      const options = { below, mayLackEnd: true, sync: index === last, progress };
      const sizeBytes = await unpack(engine, packed, serial, options, signal);
      await failpoint('load.unpacked');
      unpacked[unpacked.length - 1] = { ...layer, serial, sizeBytes };
      below.unshift(serial);
    } else {
      await packed.release();
      below.unshift(present.serial);
    }
    const stage = present === undefined ? 'done' : 'present';
    report.progress({ digest, stage, doneBytes: totalBytes, totalBytes });
  }
}

interface UnpackHow {
  readonly below: readonly bigint[];
  readonly mayLackEnd: boolean;
  readonly sync: boolean;
  /** Told now and then how much of the file is done, in bytes. */
  readonly progress: (doneBytes: number) => void;
}

/** @returns bytes unpacked. */
async function unpack(
  engine: ImageEngine,
  layer: PackedLayer,
  serial: bigint,
  { progress, ...how }: UnpackHow,
  signal: AbortSignal | undefined,
): Promise<bigint> {
  const { digest, diffId } = layer;
  try {
    await using input = await layer.open();
    using _watch = watchPosition(input.position, progress);
    // Another one than sha256 is checked by who fetches it.
    const own = isDigest(digest) ? { digest } : {};
    const options = { ...how, ...own, ...(signal === undefined ? {} : { signal }) };
    const unpacked = await engine.layers.unpack(serial, input.archive, options).catch(async (error) => {
      // That the bytes are not the right ones explains whatever is wrong with them.
      if (error instanceof MydockerError && error.code === 'invalid-argument') await input.checked;
      throw error;
    });
    await input.checked;
    if (unpacked.diffId === diffId) return BigInt(unpacked.unpackedBytes);
    const why = `its content has the diff id ${unpacked.diffId}, the config says ${diffId}`;
    throw invalidArgument(`cannot unpack layer ${digest}: ${why}`, {
      reason: 'DIFF_ID_MISMATCH',
      metadata: { why },
    });
  } catch (error) {
    throw inLayer(digest, error);
  }
}

/** Once it is recorded, the lease keeps it, and what has no lease is collected; until then it is undone here. */
async function record(engine: ImageEngine, layer: Unpacked): Promise<void> {
  const { layers, store, log } = engine;
  const { chainId, diffId, serial, sizeBytes, parent } = layer;
  // An import of the same bytes does not queue for the layer, and may have come first.
  if (store.layers.get(chainId) !== undefined) return;
  await using undo = new UndoStack((label, err) => log.error({ err }, label));
  undo.push(`remove layer ${serial}`, () => layers.remove(serial));
  await layers.publish(serial);
  await failpoint('load.renamed');
  const now = nowNs();
  const shape = {
    v: 1,
    rev: 0n,
    createdAt: now,
    updatedAt: now,
    chainId,
    diffId,
    serial,
    sizeBytes,
  } as const;
  // The image's record, synced, makes this one durable too; without it nobody needs this one.
  await store.layers.put({ ...shape, ...(parent === undefined ? {} : { parent }) }, { sync: false });
  undo.commit();
  await failpoint('load.put-layer');
}

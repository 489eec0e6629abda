/**
 * The layers of an image that is being loaded, one on the other: shared with the images that have them, else
 * unpacked once, also where two clients load the same at the same time.
 */
import { open } from 'node:fs/promises';
import { failpoint } from '../failpoint.ts';
import type { ArchiveFile } from '../image/archive-files.ts';
import type { UnpackResult } from '../image/worker-protocol.ts';
import { chainIdOn, type Digest } from '../model/digest.ts';
import { invalidArgument } from '../model/error.ts';
import type { ImageLayer, LayerRecord } from '../model/image.ts';
import { nowNs } from '../model/time.ts';
import { UndoStack } from '../model/undo.ts';
import { changeLayers, type Lease } from './garbage.ts';
import type { ImageEngine } from './image-engine.ts';
import { inLayer } from './load-error.ts';
import type { LoadProgress, LoadReport } from './load-images.ts';

/** A stack of layers that grows. */
export class LayerLoad {
  readonly #engine: ImageEngine;
  readonly #lease: Lease;
  readonly #report: LoadReport;
  readonly #signal: AbortSignal | undefined;
  readonly #layers: ImageLayer[] = [];

  constructor(engine: ImageEngine, lease: Lease, report: LoadReport, signal: AbortSignal | undefined) {
    this.#engine = engine;
    this.#lease = lease;
    this.#report = report;
    this.#signal = signal;
  }

  /** Base first. */
  get layers(): readonly ImageLayer[] {
    return this.#layers;
  }

  /**
   * Puts a layer on top: it is recorded and kept by the lease when this returns.
   * @throws MydockerError naming the layer and the entry.
   */
  async add(file: ArchiveFile, diffId: Digest): Promise<void> {
    const parent = this.#layers.at(-1)?.chainId;
    const chainId = chainIdOn(parent, diffId);
    const size = BigInt(file.sizeBytes);
    const tell = (stage: LoadProgress['stage'], doneBytes: bigint): void =>
      this.#report.progress({ digest: diffId, stage, doneBytes, totalBytes: size });
    // Who comes second waits, and finds it.
    const { serial } = await this.#engine.queues.run('image', `layer ${chainId}`, async () => {
      this.#signal?.throwIfAborted();
      const present = await this.#lease.findLayer(chainId);
      tell(present === undefined ? 'unpacking' : 'present', present === undefined ? 0n : size);
      if (present !== undefined) return present;
      const made = await this.#make(file, diffId, chainId, parent);
      tell('done', size);
      return made;
    });
    this.#layers.push({ diffId, chainId, serial });
  }

  async #make(
    file: ArchiveFile,
    diffId: Digest,
    chainId: Digest,
    parent: Digest | undefined,
  ): Promise<LayerRecord> {
    const { layers, store } = this.#engine;
    const serial = await store.layers.allocateSerial();
    try {
      await failpoint('load.unpack');
      const unpacked = await this.#unpack(serial, file, diffId);
      await failpoint('load.unpacked');
      this.#signal?.throwIfAborted();
      return await changeLayers(this.#engine, async () => {
        // An import of the same bytes does not queue for the layer, and may have come first.
        const present = store.layers.get(chainId);
        if (present !== undefined) return present;
        const now = nowNs();
        const stored = await this.#publish({
          ...{ v: 1, rev: 0n, createdAt: now, updatedAt: now, chainId, diffId, serial },
          ...(parent === undefined ? {} : { parent }),
          sizeBytes: BigInt(unpacked.unpackedBytes),
        });
        await failpoint('load.put-layer');
        return stored;
      });
    } finally {
      // Nothing is there any more where the layer got its name.
      layers.discard(serial);
    }
  }

  /** Once it is recorded, the lease keeps it, and what has no lease is collected; until then it is undone here. */
  async #publish(record: LayerRecord): Promise<LayerRecord> {
    const { layers, store, log } = this.#engine;
    const { serial } = record;
    await using undo = new UndoStack((label, err) => log.error({ err }, label));
    undo.push(`remove layer ${serial}`, () => layers.remove(serial));
    await layers.publish(serial);
    await failpoint('load.renamed');
    // The image's record, synced, makes this one durable too; without it nobody needs this one.
    const stored = await store.layers.put(record, { sync: false });
    undo.commit();
    return stored;
  }

  async #unpack(serial: bigint, file: ArchiveFile, diffId: Digest): Promise<UnpackResult> {
    const below = this.#layers.map((layer) => layer.serial).reverse();
    const blob = await open(file.path, 'r');
    try {
      const options = {
        below,
        mayLackEnd: true,
        ...(this.#signal === undefined ? {} : { signal: this.#signal }),
      };
      const unpacked = await this.#engine.layers.unpack(serial, { fd: blob.fd }, options);
      if (unpacked.diffId === diffId) return unpacked;
      const why = `its content has the diff id ${unpacked.diffId}, the config says ${diffId}`;
      throw invalidArgument(`cannot unpack layer ${file.digest}: ${why}`, {
        reason: 'DIFF_ID_MISMATCH',
        metadata: { why },
      });
    } catch (error) {
      throw inLayer(file.digest, error);
    } finally {
      await blob.close();
    }
  }
}

/**
 * How the tar of a root filesystem becomes an image of one layer. Nothing is visible before it is complete:
 * unpacked and synced under a hidden name, renamed, then recorded; the reference comes last.
 */

import { failpoint } from '../failpoint.ts';
import { encodeImageConfig, hostArchitecture } from '../image/image-config.ts';
import type { UnpackResult } from '../image/worker-protocol.ts';
import { cannot, invalidArgument, MydockerError } from '../model/error.ts';
import type { ImageConfig, ImageLayer, ImageRecord } from '../model/image.ts';
import { isNoSpace, noSpace } from '../model/no-space.ts';
import { familiarReference, formatReference, parseReference } from '../model/reference.ts';
import { nowNs } from '../model/time.ts';
import { UndoStack } from '../model/undo.ts';
import { changeLayers } from './garbage.ts';
import type { ImageEngine } from './image-engine.ts';
import { keepPacked } from './keep-packed.ts';

/** What to make of the archive. */
export interface ImportRequest {
  /** Reference that will point at the image; `''`: none. */
  readonly reference: string;
  /** What the image says about containers. */
  readonly config: ImageConfig;
  /** Words for its history; `''`: that it was imported. */
  readonly message: string;
  /** Platform that it is made for; absent: this machine's. */
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant: string };
}

export interface ImportResult {
  readonly image: ImageRecord;
  /** Normalized reference; `''` where none was asked for. */
  readonly reference: string;
}

/**
 * Makes an image from a root filesystem. The archive is taken as a layer, as `docker import` takes it: names
 * that begin with `.wh.` are whiteouts, and as there is nothing below that they could hide, left out.
 * @param archive - tar, plain or compressed with gzip or zstd.
 * @param signal - ends the work; nothing is left then.
 * @throws MydockerError `invalid-argument` naming the entry or what is wrong with the reference,
 * `resource-exhausted` for a limit or a full disk; what the archive's source throws.
 */
export async function importImage(
  engine: ImageEngine,
  request: ImportRequest,
  archive: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<ImportResult> {
  const reference = normalize(request.reference);
  await failpoint('import.begin');
  const serial = await engine.store.layers.allocateSerial();
  try {
    // 1. Unpack where nobody looks; the worker syncs.
    await failpoint('import.unpack');
    await using spool = engine.blobs.keepsLayers ? await engine.blobs.spool() : undefined;
    const unpacked = await engine.layers
      .unpack(serial, spool?.through(archive) ?? archive, {
        below: [],
        ...(signal === undefined ? {} : { signal }),
      })
      .catch((error: unknown) => {
        throw asImportError(request.reference, error);
      });
    await failpoint('import.synced');
    signal?.throwIfAborted();
    // 2. Record it. Seconds of unpacking are over, so that nobody waits long for his turn.
    const come: Come = { serial, unpacked, path: spool?.path };
    if (spool !== undefined) await engine.blobs.settle(spool.path);
    const image = await changeLayers(engine, () => record(engine, request, reference, come));
    const { entries, droppedEntries, droppedXattrs, compression } = unpacked;
    engine.log.info(
      { image: image.id, reference, entries, droppedEntries, droppedXattrs, compression },
      'image imported',
    );
    return { image, reference };
  } finally {
    // Nothing is there any more where the layer got its name.
    await engine.layers.discard(serial);
  }
}

const NOBODY = { keep: () => undefined };

/** What has come. */
interface Come {
  readonly serial: bigint;
  readonly unpacked: UnpackResult;
  /** The archive as it came; undefined: it is not kept. */
  readonly path: string | undefined;
}

/** Undone, where it fails, before anybody else can share the layer. */
async function record(
  engine: ImageEngine,
  request: ImportRequest,
  reference: string,
  { serial, unpacked, path }: Come,
): Promise<ImageRecord> {
  await using undo = new UndoStack((label, err) => engine.log.error({ err }, label));
  const layer = await recordLayer(engine, serial, unpacked, undo);
  const { digest, archiveBytes } = unpacked;
  const file = path === undefined ? undefined : { path, digest, sizeBytes: archiveBytes };
  // No lease: nobody collects before the image is recorded.
  if (file !== undefined) undo.push(`collect ${digest}`, async () => engine.garbage.collect([digest]));
  const [packed = layer] = await keepPacked(engine, NOBODY, [layer], [file]);
  const image = await recordImage(engine, request, reference, packed, unpacked, undo);
  undo.commit();
  return image;
}

function normalize(text: string): string {
  if (text === '') return '';
  const reference = parseReference(text);
  if (reference.digest === undefined) return formatReference(reference);
  throw invalidArgument(
    `cannot import image ${familiarReference(reference)}: the digest comes from the content`,
    {
      reason: 'REFERENCE_INVALID',
      hint: 'give a name and a tag',
    },
  );
}

/** The layer is shared with an image that has the same content already. */
async function recordLayer(
  engine: ImageEngine,
  serial: bigint,
  unpacked: UnpackResult,
  undo: UndoStack,
): Promise<ImageLayer> {
  const { diffId } = unpacked;
  // Of a single layer the chain id is the diff id.
  const chainId = diffId;
  const present = engine.store.layers.get(chainId);
  if (present !== undefined) return { diffId, chainId, serial: present.serial };
  await engine.layers.publish(serial);
  undo.push(`remove layer ${serial}`, () => engine.layers.remove(serial));
  await failpoint('import.renamed');
  const now = nowNs();
  const record = { v: 1, rev: 0n, createdAt: now, updatedAt: now, chainId, diffId, serial } as const;
  const sizeBytes = BigInt(unpacked.unpackedBytes);
  // The image's record, synced, makes this one durable too; without it nobody needs this one.
  await engine.store.layers.put({ ...record, sizeBytes }, { sync: false });
  undo.push(`forget layer ${serial}`, async () => {
    await engine.store.layers.delete(chainId);
  });
  await failpoint('import.put-layer');
  return { diffId, chainId, serial };
}

async function recordImage(
  engine: ImageEngine,
  request: ImportRequest,
  reference: string,
  layer: ImageLayer,
  unpacked: UnpackResult,
  undo: UndoStack,
): Promise<ImageRecord> {
  const now = nowNs();
  const comment = request.message === '' ? `imported ${unpacked.digest}` : request.message;
  const description = {
    config: request.config,
    builtAt: now,
    author: '',
    architecture: request.platform?.architecture ?? hostArchitecture(),
    variant: request.platform?.variant ?? '',
    os: request.platform?.os ?? 'linux',
    history: [{ createdAt: now, createdBy: '', comment, emptyLayer: false }],
  };
  const id = await engine.blobs.write(encodeImageConfig({ ...description, diffIds: [layer.diffId] }));
  undo.push(`remove config ${id}`, () => engine.blobs.remove(id));
  await failpoint('import.put-image');
  const record: ImageRecord = {
    ...description,
    ...{ v: 1, rev: 0n, createdAt: now, updatedAt: now, id },
    references: reference === '' ? [] : [reference],
    layers: [layer],
    sizeBytes: BigInt(unpacked.unpackedBytes),
  };
  const attributes = reference === '' ? {} : { reference };
  const event = { type: 'image.import', kind: 'image', id, attributes } as const;
  // The reference is taken from the image that had it, which stays without a name, as Docker does it.
  return await engine.store.images.addNamed(record, { event });
}

/** The worker speaks of an archive; the user asked for an image. */
function asImportError(reference: string, error: unknown): unknown {
  // Of the copy that is kept packed, where the disk is full before the worker sees it.
  if (isNoSpace(error)) return noSpace('import', 'image', reference, { cause: error });
  if (!(error instanceof MydockerError)) return error;
  const { code, reason, hint, metadata } = error;
  const why = metadata['why'];
  if (why === undefined) return error;
  const entry = metadata['entry'];
  const details = { reason, metadata, cause: error, ...(hint === undefined ? {} : { hint }) };
  return cannot(
    code,
    'import',
    'image',
    reference,
    entry === undefined ? why : `entry ${entry}: ${why}`,
    details,
  );
}

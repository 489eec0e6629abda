/**
 * The layers of an image on their way to a registry, a few beside each other. Each is looked for there first, then
 * asked of the registry's other repositories that are known to have it, and only then sent.
 */
import { open } from 'node:fs/promises';
import type { Descriptor } from '../image/oci-manifest.ts';
import { type Digest, isDigest } from '../model/digest.ts';
import { dataLoss, MydockerError } from '../model/error.ts';
import { type ImageLayer, type ImageRecord, repoDigestsOf } from '../model/image.ts';
import { parseReference } from '../model/reference.ts';
import type { PushRepository } from '../registry/push-repository.ts';
import { Slots } from '../registry/slots.ts';
import { compressPacked, isPlainTar } from './compress-packed.ts';
import type { Lease } from './garbage.ts';
import type { ImageEngine } from './image-engine.ts';

/** What happens to a layer. */
export interface PushProgress {
  readonly digest: string;
  readonly stage: 'waiting' | 'sending' | 'present' | 'done' | 'retrying';
  readonly doneBytes: bigint;
  readonly totalBytes: bigint;
  /** Words for people; `''`: none. */
  readonly message: string;
}

/** What the sending works with. */
export interface LayerPush {
  readonly repository: PushRepository;
  /** Keeps what is sent. */
  readonly lease: Pick<Lease, 'keep'>;
  /** Must not wait. */
  readonly report: { progress(progress: PushProgress): void };
  readonly signal: AbortSignal;
}

/** Repositories that are asked for one layer. */
const MAX_SOURCES = 3;
const READ_BYTES = 256 * 1024;

/**
 * @param wanted - the layers as the image's manifest has them; undefined: it has none.
 * @returns as what each layer is there now, base first.
 * @throws MydockerError `failed-precondition` (LAYER_NOT_KEPT) where it is neither there nor here; as
 * push-repository.ts.
 */
export async function sendLayers(
  engine: ImageEngine,
  image: ImageRecord,
  wanted: readonly Descriptor[] | undefined,
  push: LayerPush,
): Promise<Descriptor[]> {
  const own = new AbortController();
  const signal = AbortSignal.any([own.signal, push.signal]);
  const slots = new Slots(engine.registryLimits.uploads);
  // One that an image has twice is sent once.
  const sent = new Map<string, Promise<Descriptor>>();
  const all = image.layers.map((layer, index) => {
    const choices = choicesOf(engine, layer, wanted?.[index]);
    const [first] = choices;
    const key = first?.digest ?? layer.diffId;
    const progress = reporter(push.report, first ?? { digest: layer.diffId, sizeBytes: 0 });
    const before = sent.get(key);
    if (before !== undefined) return before;
    progress('waiting', 0);
    const one = async (): Promise<Descriptor> => {
      using _slot = await slots.take(signal);
      return await sendLayer(engine, layer, [wanted?.[index], choices], { ...push, signal, progress, image });
    };
    const sending = one();
    sent.set(key, sending);
    return sending;
  });
  try {
    return await Promise.all(all);
  } catch (error) {
    own.abort(error);
    await Promise.allSettled(all);
    throw push.signal.aborted ? push.signal.reason : error;
  }
}

/** What it may be there as: as the manifest has it, else as it is kept. */
function choicesOf(
  { store }: ImageEngine,
  { packed }: ImageLayer,
  wanted: Descriptor | undefined,
): readonly Descriptor[] {
  const kept = packed === undefined || packed === wanted?.digest ? undefined : store.blobs.get(packed);
  const { digest, mediaType = '', sizeBytes } = kept ?? {};
  const other = digest === undefined ? [] : [{ digest, mediaType, sizeBytes: Number(sizeBytes) }];
  return [...(wanted === undefined ? [] : [wanted]), ...other];
}

/** What the manifest has, if there is one, and all that it may be there as. */
type Wish = readonly [wanted: Descriptor | undefined, choices: readonly Descriptor[]];

interface Sending extends LayerPush {
  readonly image: ImageRecord;
  readonly progress: Progress;
}

async function sendLayer(
  engine: ImageEngine,
  layer: ImageLayer,
  [wanted, choices]: Wish,
  sending: Sending,
): Promise<Descriptor> {
  for (const choice of choices) {
    const blob = await madeSmall(engine, layer, choice, choice === wanted, sending);
    if (await sendBlob(engine, layer, blob, sending)) return blob;
  }
  const why = `layer ${choices[0]?.digest ?? layer.diffId} is not there, and only kept unpacked here`;
  throw new MydockerError('failed-precondition', `cannot push image: ${why}`, {
    reason: 'LAYER_NOT_KEPT',
    hint: 'remove the image, get it again and push it then; keep-packed-layers must not be off',
    metadata: { why },
  });
}

/** What no manifest speaks of has no digest to keep, and goes as small as it can. */
async function madeSmall(
  engine: ImageEngine,
  { packed }: ImageLayer,
  choice: Descriptor,
  isWanted: boolean,
  { lease, progress, signal }: Sending,
): Promise<Descriptor> {
  if (isWanted || packed === undefined || packed !== choice.digest || !isPlainTar(choice)) return choice;
  progress('waiting', 0, 'Compressing');
  return await compressPacked(engine, lease, { ...choice, digest: packed }, signal);
}

/** @returns whether it is there now. */
async function sendBlob(
  engine: ImageEngine,
  { diffId }: ImageLayer,
  blob: Descriptor,
  { repository, image, progress, signal }: Sending,
): Promise<boolean> {
  const { digest, sizeBytes } = blob;
  if (isElsewhere(blob) || (await repository.has(blob, signal))) {
    progress('present', sizeBytes);
    return true;
  }
  for (const from of sourcesOf(engine, image, diffId, repository))
    if (await repository.mount(blob, from, signal)) {
      progress('done', sizeBytes, `Mounted from ${from}`);
      return true;
    }
  // Elsewhere it may have a name of another kind.
  if (!isDigest(digest) || engine.store.blobs.get(digest) === undefined) return false;
  progress('sending', 0);
  const path = engine.blobs.path(digest);
  const report = {
    sent: (bytes: number) => progress('sending', bytes),
    retrying: (why: string) => progress('retrying', 0, why),
  };
  await repository.send(blob, { read: (from, to) => bytesOf(path, from, to) }, report, signal);
  progress('done', sizeBytes);
  return true;
}

/** It comes from another place by its licence, and is not sent. */
function isElsewhere({ mediaType }: Descriptor): boolean {
  return /nondistributable|foreign/.test(mediaType);
}

/** Repositories of the registry that images with this layer came from or went to; the image's own first. */
function sourcesOf(
  { store }: ImageEngine,
  image: ImageRecord,
  diffId: Digest,
  { domain, path }: PushRepository,
): readonly string[] {
  const others = store.images.list().filter(({ id, layers }) => {
    return id !== image.id && layers.some((layer) => layer.diffId === diffId);
  });
  const found = [image, ...others]
    .flatMap(repoDigestsOf)
    .map(parseReference)
    .filter((reference) => reference.domain === domain && reference.path !== path);
  return [...new Set(found.map((reference) => reference.path))].slice(0, MAX_SOURCES);
}

/** One buffer serves for all of it, so that the server stays as small as it is. */
async function* bytesOf(path: string, from: number, to: number): AsyncGenerator<Buffer, void, undefined> {
  await using file = await open(path, 'r');
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  for (let at = from; at < to; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, to - at), at);
    if (bytesRead === 0) throw dataLoss(`cannot read ${path}: it ends early`, { reason: 'BLOB_DAMAGED' });
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

type Progress = (stage: PushProgress['stage'], doneBytes: number, message?: string) => void;

function reporter(
  report: LayerPush['report'],
  { digest, sizeBytes }: Pick<Descriptor, 'digest' | 'sizeBytes'>,
): Progress {
  const totalBytes = BigInt(sizeBytes);
  return (stage, done, message = '') =>
    report.progress({ digest, stage, doneBytes: BigInt(done), totalBytes, message });
}

/**
 * Takes references from images, and images away with their last one. Records go before files: a death in
 * between leaves files that the next start sweeps, never a record of what is not there.
 */
import { failpoint } from '../failpoint.ts';
import type { ContainerRecord } from '../model/container.ts';
import { cannot, MydockerError, notFound, quoteId } from '../model/error.ts';
import { shortId } from '../model/ids.ts';
import { type ImageRecord, tagsOf } from '../model/image.ts';
import { familiarReference, lookupReference, parseReference } from '../model/reference.ts';
import { isAlive } from '../model/task-state.ts';
import { blobsOf } from './garbage.ts';
import { containersOf, expectImageRev, findImage, type ImageEngine } from './image-engine.ts';

/** What to remove. */
export interface RemoveImageRequest {
  /** A reference: only it goes, and the image with its last one. An id: the image with all references. */
  readonly image: string;
  /**
   * Also where an id has several references, or stopped containers use the image; their files stay. While one
   * runs a reference goes, also the last one, and the image stays.
   */
  readonly force: boolean;
  /** Refused unless the image has this rev; 0n: whatever. */
  readonly expectedRev: bigint;
}

export interface RemoveImageResult {
  /** References that are gone. */
  readonly untagged: readonly string[];
  /** Ids of images that are gone. */
  readonly deleted: readonly string[];
}

/** Ids that an error lists; more are counted only. */
const SHOWN_CONTAINERS = 20;

/**
 * Answers before the files are gone.
 * @throws MydockerError `not-found`; `failed-precondition` (IMAGE_IN_USE) while containers use it, by id also with
 * force while one of them runs, or (IMAGE_HAS_REFERENCES) for an id with several references; `aborted`.
 */
export async function removeImage(
  engine: ImageEngine,
  request: RemoveImageRequest,
): Promise<RemoveImageResult> {
  const { id } = findImage(engine, request.image);
  return await engine.queues.run('image', id, async () => {
    const record = engine.store.images.get(id);
    // It may have gone, or have lost this reference, while we waited.
    if (record === undefined || findImage(engine, request.image).id !== id)
      throw notFound('image', request.image);
    await failpoint('remove-image.begin');
    expectImageRev('remove', record, request.expectedRev);
    const reference = referenceIn(record, request.image);
    const tags = tagsOf(record);
    // With its last tag an image goes; digests are no names that anybody gave it.
    const others = reference !== undefined && tags.includes(reference) ? tags : record.references;
    if (reference !== undefined && others.length > 1) return await untag(engine, record, reference);
    if (reference === undefined && tags.length > 1 && !request.force)
      throw hasReferences(request.image, record);
    const users = containersOf(engine.store, id);
    // As with Docker: the name is the user's to take, the image goes when its container is gone.
    if (reference !== undefined && request.force && users.some(({ status }) => isAlive(status)))
      return await untag(engine, record, reference);
    checkUsers(request, users);
    return await removeRecord(engine, record);
  });
}

/** The reference that the text is, if it is one and not an id. */
function referenceIn(record: ImageRecord, text: string): string | undefined {
  // An id is tried first by whoever resolves the text, and no reference can look like a whole one.
  if (/^(?:sha256:[0-9a-f]+|[0-9a-f]{64})$/.test(text)) return undefined;
  try {
    const full = lookupReference(parseReference(text));
    return record.references.includes(full) ? full : undefined;
  } catch (error) {
    if (error instanceof MydockerError) return undefined;
    throw error;
  }
}

async function untag(
  engine: ImageEngine,
  record: ImageRecord,
  reference: string,
): Promise<RemoveImageResult> {
  const event = { type: 'image.untag', kind: 'image', id: record.id, attributes: { reference } } as const;
  const without = (image: ImageRecord): ImageRecord => ({
    ...image,
    references: image.references.filter((other) => other !== reference),
  });
  await engine.store.images.update(record.id, without, { event });
  await failpoint('remove-image.put');
  return { untagged: [reference], deleted: [] };
}

/** Nobody finds the image from here on; its files go behind the answer. */
export async function removeRecord(engine: ImageEngine, record: ImageRecord): Promise<RemoveImageResult> {
  const { id, references } = record;
  const attributes = references.length === 0 ? {} : { references: references.join(' ') };
  await engine.store.images.delete(id, { event: { type: 'image.delete', kind: 'image', id, attributes } });
  engine.garbage.collect(blobsOf(record));
  await failpoint('remove-image.put');
  return { untagged: [...references].sort(), deleted: [id] };
}

function checkUsers(request: RemoveImageRequest, users: readonly ContainerRecord[]): void {
  const running = users.filter((container) => isAlive(container.status));
  const [first, ...more] = request.force ? running : users;
  if (first === undefined) return;
  const count = more.length + 1;
  const who = `${count} ${running.length > 0 && request.force ? 'running ' : ''}${count === 1 ? 'container uses' : 'containers use'} it`;
  throw cannot('failed-precondition', 'remove', 'image', request.image, who, {
    reason: 'IMAGE_IN_USE',
    hint: `remove ${count === 1 ? 'it' : 'them'} first, for example: mydocker rm ${shortId(first.id)}`,
    metadata: {
      image: quoteId(request.image),
      container_count: String(count),
      containers: [first, ...more]
        .slice(0, SHOWN_CONTAINERS)
        .map((container) => container.id)
        .join(','),
    },
  });
}

function hasReferences(text: string, record: ImageRecord): MydockerError {
  const names = tagsOf(record)
    .map((reference) => familiarReference(parseReference(reference)))
    .sort();
  return cannot('failed-precondition', 'remove', 'image', text, `${names.length} references point at it`, {
    reason: 'IMAGE_HAS_REFERENCES',
    hint: 'remove them one by one, or all with -f',
    metadata: { image: record.id, references: names.join(' ') },
  });
}

/** Makes a reference point at an image, away from where it pointed before. */
import { invalidArgument, quoteId } from '../model/error.ts';
import { formatReference, parseReference } from '../model/reference.ts';
import { findImage, type ImageEngine } from './image-engine.ts';

export interface TagResult {
  readonly imageId: string;
  /** Normalized. */
  readonly reference: string;
  /** Image that it pointed at before; `''`: none, or this one. */
  readonly previousImageId: string;
}

/**
 * @param image - reference, id or unique prefix of an id.
 * @param reference - the new reference; without tag: `:latest`.
 * @throws MydockerError `not-found`, or `invalid-argument` for a reference that is malformed or has a digest.
 */
export async function tagImage(
  engine: Pick<ImageEngine, 'store' | 'queues'>,
  image: string,
  reference: string,
): Promise<TagResult> {
  const parsed = parseReference(reference);
  if (parsed.digest !== undefined) {
    throw invalidArgument(`cannot tag image ${quoteId(image)}: a digest cannot be given to an image`, {
      reason: 'REFERENCE_INVALID',
      hint: 'give a name and a tag',
    });
  }
  const full = formatReference(parsed);
  const { id } = findImage(engine, image);
  return await engine.queues.run('image', id, async () => {
    const previous = engine.store.images.idByReference(full) ?? '';
    await engine.store.images.setReference(full, id, {
      event: {
        ...{ type: 'image.tag', kind: 'image', id },
        attributes: {
          reference: full,
          ...(previous === '' || previous === id ? {} : { previous_image_id: previous }),
        },
      },
    });
    return { imageId: id, reference: full, previousImageId: previous === id ? '' : previous };
  });
}

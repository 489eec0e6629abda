/** One image in full. */
import { type Descriptor, parseManifest } from '../image/oci-manifest.ts';
import { MydockerError } from '../model/error.ts';
import { findImage, type ImageEngine } from './image-engine.ts';
import { type ImageView, viewImages } from './list-images.ts';

/** An image with what only its manifest says. */
export interface InspectedImage {
  readonly view: ImageView;
  /** What each layer came as, base first; empty where the image came without a manifest. */
  readonly layerBlobs: readonly Descriptor[];
}

/**
 * @param text - reference, id or unique prefix of an id.
 * @throws MydockerError `not-found`; `invalid-argument` when it is malformed or means several.
 */
export function findImageView(engine: Pick<ImageEngine, 'store'>, text: string): ImageView {
  const [view] = viewImages(engine, [findImage(engine, text)]);
  return view as ImageView;
}

/** As {@link findImageView}, with what stands in its manifest. */
export async function inspectImage(
  engine: Pick<ImageEngine, 'store' | 'blobs' | 'log'>,
  text: string,
): Promise<InspectedImage> {
  const view = findImageView(engine, text);
  const { manifest, record } = view;
  if (manifest === undefined) return { view, layerBlobs: [] };
  try {
    const { layers } = parseManifest(await engine.blobs.read(manifest.digest), manifest.mediaType);
    return { view, layerBlobs: layers.length === record.layers.length ? layers : [] };
  } catch (error) {
    // The image runs without it, and may have gone meanwhile; the rest is worth an answer.
    if (!(error instanceof MydockerError)) throw error;
    engine.log.warn({ err: error, image: record.id }, 'the manifest of an image cannot be read');
    return { view, layerBlobs: [] };
  }
}

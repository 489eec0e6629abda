/** One image in full. */
import { findImage, type ImageEngine } from './image-engine.ts';
import { type ImageView, viewImages } from './list-images.ts';

/**
 * @param text - reference, id or unique prefix of an id.
 * @throws MydockerError `not-found`; `invalid-argument` when it is malformed or means several.
 */
export function inspectImage(engine: Pick<ImageEngine, 'store'>, text: string): ImageView {
  const [view] = viewImages(engine, [findImage(engine, text)]);
  return view as ImageView;
}

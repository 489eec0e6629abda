/** What went wrong while an image was pulled or pushed, in the words of whoever asked for it. */
import { cannot, MydockerError } from '../model/error.ts';
import { isNoSpace, noSpace } from '../model/no-space.ts';

/**
 * @param image - familiar reference.
 * @returns `cannot pull image NAME: layer DIGEST: entry NAME: WHY`, with what is known; an error that says
 * this already, and one that is neither the image's nor the registry's, as it is.
 */
export function asPullError(image: string, error: unknown): unknown {
  return asTransferError('pull', image, error);
}

/** As {@link asPullError}, for another verb too. */
export function asTransferError(verb: 'pull' | 'push', image: string, error: unknown): unknown {
  if (isNoSpace(error)) return noSpace(verb, 'image', image, { cause: error });
  if (!(error instanceof MydockerError) || error.message.startsWith(`cannot ${verb} image `))
    return named(verb, image, error);
  const { code, reason, hint, metadata } = error;
  const { why, entry, layer, registry } = metadata;
  // A fault of ours, or the client's own end of the call.
  if (why === undefined) return error;
  const where = [
    ...(layer === undefined || registry !== undefined ? [] : [`layer ${layer}: `]),
    ...(entry === undefined ? [] : [`entry ${entry}: `]),
  ].join('');
  return cannot(code, verb, 'image', image, where + why, {
    ...{ reason, cause: error, metadata: { ...metadata, image } },
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Whoever read a document did not know whose it is. */
function named(verb: 'pull' | 'push', image: string, error: unknown): unknown {
  if (!(error instanceof MydockerError) || !error.message.startsWith(`cannot ${verb} image: `)) return error;
  const { code, reason, hint, metadata } = error;
  return cannot(code, verb, 'image', image, metadata['why'] ?? '', {
    ...{ reason, metadata: { ...metadata, image } },
    ...(hint === undefined ? {} : { hint }),
  });
}

/** What went wrong while an archive was loaded, in the words of whoever asked for it. */
import { cannot, MydockerError } from '../model/error.ts';
import { isNoSpace, noSpace } from '../model/no-space.ts';

const LOAD_HINT =
  'it must be an archive of docker save or an OCI layout, plain or compressed with gzip or zstd';
/** The worker's hint for another command. */
const FOREIGN_HINT = /^a root filesystem is imported as tar/;

/** Puts the layer on what unpacking it throws. */
export function inLayer(digest: string, error: unknown): unknown {
  if (!(error instanceof MydockerError)) return error;
  const { code, message, reason, hint, metadata } = error;
  return new MydockerError(code, message, {
    ...{ reason, cause: error, metadata: { ...metadata, layer: digest } },
    ...(hint === undefined ? {} : { hint }),
  });
}

/**
 * @param image - familiar reference, where the fault is one of an image; `''`: of the archive, or of an image
 * without a name.
 * @returns `cannot load image NAME: layer DIGEST: entry NAME: WHY`, with what is known; an error that says
 * this already, and one that is none of the archive's, as it is.
 */
export function asLoadError(image: string, error: unknown): unknown {
  if (isNoSpace(error)) return noSpace('load', image === '' ? 'archive' : 'image', image, { cause: error });
  if (!(error instanceof MydockerError) || /^cannot load /.test(error.message)) return error;
  const { code, reason, metadata } = error;
  const { why, entry, file, layer } = metadata;
  // A fault of ours, or the client's own end of the call.
  if (why === undefined) return error;
  const where = [
    ...(layer === undefined ? [] : [`layer ${layer}: `]),
    ...(file === undefined ? [] : [`${file}: `]),
    ...(entry === undefined ? [] : [`entry ${entry}: `]),
  ].join('');
  const hint = error.hint !== undefined && FOREIGN_HINT.test(error.hint) ? LOAD_HINT : error.hint;
  const noun = image === '' && layer === undefined ? 'archive' : 'image';
  return cannot(code, 'load', noun, image, where + why, {
    ...{ reason, cause: error, metadata },
    ...(hint === undefined ? {} : { hint }),
  });
}

/**
 * Where an image is fetched from: the registry of its name, or first the mirrors that an administrator named for
 * it, in order. A mirror that fails is passed over with a word to whoever pulls; one that sends other bytes than
 * were announced ends the pull, because somebody should look at it.
 */
import type { ContentDigest } from '../model/digest.ts';
import { MydockerError } from '../model/error.ts';
import type { BlobSource } from './download.ts';
import type { HttpResponse } from './http.ts';
import type { RemoteDocument, Repository } from './repository.ts';

/** What a pull asks; `host` is that of the reference, whoever answers. The methods are those of {@link Repository}. */
export interface ImageSource extends BlobSource {
  document(name: string, signal?: AbortSignal): Promise<RemoteDocument>;
  smallBlob(
    blob: { readonly digest: ContentDigest; readonly sizeBytes: number },
    maxBytes: number,
    signal?: AbortSignal,
  ): Promise<Buffer>;
  tags(signal?: AbortSignal): Promise<readonly string[]>;
}

/** Opens a mirror's repository, or throws what is wrong with its settings. */
export type MirrorOpener = () => Repository;

/** Reasons that are no other source's to make good. */
const FINAL = new Set(['DIGEST_MISMATCH', 'SIZE_MISMATCH']);

/**
 * @param host - of the reference.
 * @param mirrors - in the order in which they are asked.
 * @param own - the registry itself; undefined: it is not to be asked, and there is a mirror.
 * @param warn - told of each mirror that is passed over, in words for people.
 */
export function mirroredSource(
  host: string,
  mirrors: readonly MirrorOpener[],
  own: Repository | undefined,
  warn: (why: string) => void,
): ImageSource {
  const openers: readonly MirrorOpener[] = own === undefined ? mirrors : [...mirrors, () => own];
  /** Those that were reached by nobody or let nobody in are not asked again for the rest of this pull. */
  const passed = new Set<number>();
  const isOwn = (index: number): boolean => own !== undefined && index === openers.length - 1;

  const ask = async <T>(
    first: number,
    signal: AbortSignal | undefined,
    work: (repository: Repository, index: number) => Promise<T>,
  ): Promise<T> => {
    for (let index = first; ; index += 1) {
      const isLast = index === openers.length - 1;
      if (passed.has(index) && !isLast) continue;
      try {
        return await work((openers[index] as MirrorOpener)(), index);
      } catch (error) {
        const failure = isOwn(index) ? error : withHint(error);
        if (!(failure instanceof MydockerError) || FINAL.has(failure.reason) || signal?.aborted === true)
          throw failure;
        if (isLast) throw failure;
        if (failure.code === 'not-found') continue;
        passed.add(index);
        warn(`${failure.metadata['why'] ?? failure.message}; going on without this mirror`);
      }
    }
  };
  /** Where each blob came from last, and how far it was then. */
  const asked = new Map<ContentDigest, { readonly index: number; readonly offset: number }>();

  return {
    host,
    document: (name, signal) => ask(0, signal, (from) => from.document(name, signal)),
    smallBlob: (blob, maxBytes, signal) => ask(0, signal, (from) => from.smallBlob(blob, maxBytes, signal)),
    tags: (signal) => ask(0, signal, (from) => from.tags(signal)),
    blob: (digest, offset, signal): Promise<HttpResponse> => {
      const before = asked.get(digest);
      const isStuck = before !== undefined && before.offset === offset;
      // One that breaks off is asked for the rest, one that brings nothing is not.
      const first = before === undefined ? 0 : isStuck ? (before.index + 1) % openers.length : before.index;
      return ask(first, signal, (from, index) => {
        asked.set(digest, { index, offset });
        return from.blob(digest, offset, signal);
      });
    },
  };
}

/** What `login` keeps is for the registry of a reference, and never shown to a mirror. */
function withHint(error: unknown): unknown {
  if (!(error instanceof MydockerError) || error.reason !== 'REGISTRY_AUTH_FAILED') return error;
  const { code, message, reason, metadata } = error;
  const hint = 'what is shown to a mirror is in the auth-file that the file of the server names for it';
  return new MydockerError(code, message, { reason, metadata, hint, cause: error });
}

/**
 * Content addresses: the branded digest, its strict grammar, and the chain id that names a layer stack.
 * `node:crypto` is the one import of the model besides itself: hashing does no I/O.
 */
import { createHash, type Hash } from 'node:crypto';
import { invalidArgument, quoteId } from './error.ts';

declare const brand: unique symbol;
declare const sha512: unique symbol;

/** `sha256:` and 64 lower-case hex digits; made only by the functions here. */
export type Digest = string & { readonly [brand]: 'Digest' };

/** What outsiders may call content by: {@link Digest}, or `sha512:` and 128 hex digits. Ours is always the former. */
export type ContentDigest = Digest | (string & { readonly [sha512]: true });

const GRAMMAR = /^sha256:[0-9a-f]{64}$/;
const CONTENT_GRAMMAR = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** Whether a text is a digest that content from elsewhere may be called by. */
export function isContentDigest(text: string): text is ContentDigest {
  return CONTENT_GRAMMAR.test(text);
}

/** Whether bytes are what a digest stands for. */
export function hasDigest(content: Uint8Array, digest: ContentDigest): boolean {
  return hashHas(hashFor(digest).update(content), digest);
}

/** A hash to compare with a digest, see {@link hashHas}. */
export function hashFor(digest: ContentDigest): Hash {
  return createHash(algorithmOf(digest));
}

/** Whether what the hash was fed is what the digest stands for; ends it. */
export function hashHas(hash: Hash, digest: ContentDigest): boolean {
  return `${algorithmOf(digest)}:${hash.digest('hex')}` === digest;
}

/** `sha256` or `sha512`. */
export function algorithmOf(digest: ContentDigest): 'sha256' | 'sha512' {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

/** Whether a text is a digest as we accept it: sha256 only, lower case, 64 digits. */
export function isDigest(text: string): text is Digest {
  return GRAMMAR.test(text);
}

/**
 * @returns the text as a digest.
 * @throws MydockerError `invalid-argument` for another algorithm, length or case.
 */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw invalidArgument(`invalid digest ${quoteId(text)}: it must be sha256: and 64 lower-case hex digits`, {
    reason: 'DIGEST_INVALID',
  });
}

/** Digest of bytes, or of a text as UTF-8. */
export function digestOf(content: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(content).digest('hex')}` as Digest;
}

/** Digest of what a sha256 hash was fed; ends it. */
export function digestHash(hash: Hash): Digest {
  return `sha256:${hash.digest('hex')}` as Digest;
}

/** The hex digits alone: the name of the file below `blobs/sha256/`. */
export function digestHex(digest: ContentDigest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

/** Chain id of one layer on top of a stack; without a parent it is the diff id itself. */
export function chainIdOn(parent: Digest | undefined, diffId: Digest): Digest {
  return parent === undefined ? diffId : digestOf(`${parent} ${diffId}`);
}

/**
 * Chain ids of a layer stack: the last one names the whole of it.
 * @param diffIds - uncompressed layer digests, base first.
 * @returns one chain id for each layer, base first.
 * Source: OCI image-spec, config.md, "Layer ChainID".
 */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) chain.push(chainIdOn(chain.at(-1), diffId));
  return chain;
}

/**
 * Chain id of a whole stack.
 * @throws MydockerError `invalid-argument` when there is no layer.
 */
export function chainId(diffIds: readonly Digest[]): Digest {
  const last = chainIds(diffIds).at(-1);
  if (last === undefined) throw invalidArgument('a chain id needs at least one layer');
  return last;
}

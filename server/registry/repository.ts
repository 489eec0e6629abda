/**
 * One repository of one registry: its documents, blobs and tags, without taking anybody's word for what the
 * bytes are.
 * Source: OCI distribution-spec.
 */
import { type ContentDigest, type Digest, digestOf, hasDigest, isContentDigest } from '../model/digest.ts';
import { quoteId } from '../model/error.ts';
import { Exchange, type RegistryState } from './exchange.ts';
import type { HttpResponse } from './http.ts';
import { mismatch, refusal } from './refusal.ts';
import { registryError } from './registry-error.ts';
import type { Credentials } from './token.ts';

/** A manifest or index as it came. */
export interface RemoteDocument {
  /** As the registry calls it, without parameters; `''` where it does not say. */
  readonly mediaType: string;
  /** Of the bytes. */
  readonly digest: Digest;
  /** By which the registry has it; the bytes have this one too. */
  readonly knownAs: ContentDigest;
  readonly bytes: Buffer;
}

const DOCUMENTS = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

export class Repository {
  readonly host: string;
  readonly #path: string;
  readonly #exchange: Exchange;

  /**
   * @param path - `library/redis`; `''`: the registry itself. @param credentials - absent: anonymous.
   * @param tries - of a request; default: as the limits say.
   */
  constructor(
    registry: RegistryState,
    path: string,
    credentials?: Credentials,
    tries: number = registry.limits.tries,
  ) {
    this.host = registry.host;
    this.#path = path;
    this.#exchange = new Exchange(registry, path, credentials, undefined, tries);
  }

  /**
   * A manifest or index.
   * @param name - a tag, or a digest, which the bytes must have.
   * @throws MydockerError `not-found` (MANIFEST_NOT_FOUND), `permission-denied`, `unavailable`,
   * `invalid-argument` (DIGEST_MISMATCH), `resource-exhausted` for a limit, `failed-precondition`.
   */
  async document(name: string, signal?: AbortSignal): Promise<RemoteDocument> {
    const { host } = this;
    return await this.#exchange.again(signal, async () => {
      const answer = await this.#exchange.get(`manifests/${name}`, { accept: DOCUMENTS }, signal);
      if (answer.status !== 200)
        throw refusal(this.host, answer, 'MANIFEST_NOT_FOUND', `it has no ${quoteId(name)}`);
      const bytes = await answer.read(this.#exchange.limits.documentBytes);
      const digest = digestOf(bytes);
      const told = answer.header('docker-content-digest');
      const wanted = isContentDigest(name) ? name : /^sha(256|512):/.test(told) ? told : digest;
      if (!isContentDigest(wanted) || !hasDigest(bytes, wanted))
        throw mismatch(host, `${quoteId(name)} has the digest ${digest}, not ${quoteId(wanted)}`);
      const [mediaType = ''] = answer.header('content-type').split(';');
      return { mediaType: mediaType.trim().toLowerCase(), digest, knownAs: wanted, bytes };
    });
  }

  /** A small blob, such as a config. @throws as {@link document}; BLOB_NOT_FOUND. */
  async smallBlob(
    { digest, sizeBytes }: { readonly digest: ContentDigest; readonly sizeBytes: number },
    maxBytes: number,
    signal?: AbortSignal,
  ): Promise<Buffer> {
    if (sizeBytes > maxBytes)
      throw registryError(this.host, `${digest} is said to have ${sizeBytes} bytes, more than ${maxBytes}`, {
        ...{ code: 'resource-exhausted', reason: 'REGISTRY_LIMIT' },
      });
    return await this.#exchange.again(signal, async () => {
      const answer = await this.blob(digest, 0, signal);
      const bytes = await answer.read(maxBytes);
      if (bytes.length !== sizeBytes || !hasDigest(bytes, digest))
        throw mismatch(this.host, `what it sends for ${digest} is something else`);
      return bytes;
    });
  }

  /**
   * A blob from an offset on; tried once.
   * @returns the answer, 200 or (only where an offset was given) 206 or 416.
   * @throws MydockerError `not-found` (BLOB_NOT_FOUND); else as {@link document}.
   */
  async blob(digest: ContentDigest, offset: number, signal?: AbortSignal): Promise<HttpResponse> {
    const headers: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` };
    const answer = await this.#exchange.get(`blobs/${digest}`, headers, signal);
    if (answer.status === 200 || (offset > 0 && (answer.status === 206 || answer.status === 416)))
      return answer;
    throw refusal(this.host, answer, 'BLOB_NOT_FOUND', `it does not have ${digest}`);
  }

  /**
   * Asks the registry itself whether it lets us in.
   * @returns the refresh token to keep instead of the password; `''`: it gives none.
   * @throws MydockerError `permission-denied` (REGISTRY_AUTH_FAILED); `not-found` where nothing answers as a
   * registry; else as {@link document}.
   */
  async knock(signal?: AbortSignal): Promise<string> {
    const login = this.#exchange.logsIn();
    await this.#exchange.again(signal, async () => {
      const answer = await this.#exchange.get('', {}, signal);
      if (answer.status !== 200)
        throw refusal(this.host, answer, 'REGISTRY_ANSWER_INVALID', 'what answers is no registry');
      answer.discard();
    });
    return login.identityToken;
  }

  /** All tags, in the registry's order. @throws MydockerError as {@link document}. */
  async tags(signal?: AbortSignal): Promise<readonly string[]> {
    const { limits } = this.#exchange;
    const found = new Set<string>();
    let rest = 'tags/list';
    for (;;) {
      const before = found.size;
      const { page, next } = await this.#exchange.again(signal, () => this.#tagPage(rest, signal));
      for (const tag of page) found.add(tag);
      if (found.size > limits.tags)
        throw registryError(this.host, `it has more than ${limits.tags} tags`, {
          ...{ code: 'resource-exhausted', reason: 'REGISTRY_LIMIT' },
        });
      // A page that brings nothing new leads to itself.
      if (next === undefined || found.size === before) return [...found];
      rest = next;
    }
  }

  async #tagPage(
    rest: string,
    signal: AbortSignal | undefined,
  ): Promise<{ page: string[]; next: string | undefined }> {
    const answer = await this.#exchange.get(rest, {}, signal);
    if (answer.status !== 200)
      throw refusal(this.host, answer, 'MANIFEST_NOT_FOUND', `it has no repository ${quoteId(this.#path)}`);
    const link = /^<([^>]*)>\s*;\s*rel="?next"?/.exec(answer.header('link'))?.[1];
    const bytes = await answer.read(this.#exchange.limits.documentBytes);
    let page: unknown;
    try {
      page = (JSON.parse(bytes.toString()) as { tags?: unknown } | null)?.tags ?? [];
    } catch {
      page = undefined;
    }
    if (!Array.isArray(page) || !page.every((tag) => typeof tag === 'string' && TAG.test(tag)))
      throw registryError(this.host, 'its list of tags cannot be read');
    // Only what selects the page is taken from the link, so that it leads nowhere else.
    const query = link === undefined ? '' : (/\?.*$/.exec(link)?.[0] ?? '');
    return { page, next: query === '' ? undefined : `tags/list${query}` };
  }
}

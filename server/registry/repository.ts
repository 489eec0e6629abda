/**
 * One repository of one registry: its documents, blobs and tags, asked for with what the registry wants to see
 * first and followed to where it sends us, without taking anybody's word for what the bytes are.
 * Source: OCI distribution-spec.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Digest, digestOf, isDigest } from '../model/digest.ts';
import { quoteId } from '../model/error.ts';
import type { RegistryLimits, RegistrySettings } from '../model/registry.ts';
import { isLoopback, maySendTo } from './addresses.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import { type Http, type HttpResponse, NOT_TLS_REASON } from './http.ts';
import { mismatch, pauseMs, refusal } from './refusal.ts';
import { isTransient, registryError } from './registry-error.ts';
import { basicAuthorization, type Credentials, refused, type TokenContext, type Tokens } from './token.ts';

/** A manifest or index as it came. */
export interface RemoteDocument {
  /** As the registry calls it, without parameters; `''` where it does not say. */
  readonly mediaType: string;
  /** Of the bytes. */
  readonly digest: Digest;
  readonly bytes: Buffer;
}

/** What is known of the registry and stays so from one request to the next. */
export interface RegistryState {
  /** As the user knows it. */
  readonly host: string;
  readonly http: Http;
  readonly settings: RegistrySettings;
  readonly limits: RegistryLimits;
  readonly tokens: Tokens;
  /** Where it answers; `http:` once it is known that it does not speak TLS and need not. */
  origin: URL;
}

const DOCUMENTS = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

/** Each time for another reason: who we are, a fresh token. */
const MAX_LOGINS = 3;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

interface Asked {
  readonly method: 'GET' | 'HEAD';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | undefined;
}

export class Repository {
  readonly host: string;
  readonly #registry: RegistryState;
  readonly #path: string;
  readonly #credentials: Credentials | undefined;
  #challenge: Challenge | undefined;
  #authorization = '';

  /** @param path - `library/redis`; `''`: the registry itself. @param credentials - absent: anonymous. */
  constructor(registry: RegistryState, path: string, credentials?: Credentials) {
    this.host = registry.host;
    this.#registry = registry;
    this.#path = path;
    this.#credentials = credentials;
    if (credentials !== undefined && credentials.registryToken !== '')
      this.#authorization = `Bearer ${credentials.registryToken}`;
  }

  /**
   * A manifest or index.
   * @param name - a tag, or a digest, which the bytes must have.
   * @throws MydockerError `not-found` (MANIFEST_NOT_FOUND), `permission-denied`, `unavailable`,
   * `invalid-argument` (DIGEST_MISMATCH), `resource-exhausted` for a limit, `failed-precondition`.
   */
  async document(name: string, signal?: AbortSignal): Promise<RemoteDocument> {
    const { host } = this;
    return await this.#again(signal, async () => {
      const answer = await this.#get(`manifests/${name}`, { accept: DOCUMENTS }, signal);
      if (answer.status !== 200)
        throw refusal(this.host, answer, 'MANIFEST_NOT_FOUND', `it has no ${quoteId(name)}`);
      const bytes = await answer.read(this.#registry.limits.documentBytes);
      const digest = digestOf(bytes);
      const told = answer.header('docker-content-digest');
      const wanted = isDigest(name) ? name : told.startsWith('sha256:') ? told : digest;
      if (digest !== wanted)
        throw mismatch(host, `${quoteId(name)} has the digest ${digest}, not ${quoteId(wanted)}`);
      const [mediaType = ''] = answer.header('content-type').split(';');
      return { mediaType: mediaType.trim().toLowerCase(), digest, bytes };
    });
  }

  /** A small blob, such as a config. @throws as {@link document}; BLOB_NOT_FOUND. */
  async smallBlob(
    { digest, sizeBytes }: { readonly digest: Digest; readonly sizeBytes: number },
    maxBytes: number,
    signal?: AbortSignal,
  ): Promise<Buffer> {
    if (sizeBytes > maxBytes)
      throw registryError(this.host, `${digest} is said to have ${sizeBytes} bytes, more than ${maxBytes}`, {
        ...{ code: 'resource-exhausted', reason: 'REGISTRY_LIMIT' },
      });
    return await this.#again(signal, async () => {
      const answer = await this.blob(digest, 0, signal);
      const bytes = await answer.read(maxBytes);
      if (bytes.length !== sizeBytes || digestOf(bytes) !== digest)
        throw mismatch(this.host, `what it sends for ${digest} is something else`);
      return bytes;
    });
  }

  /**
   * A blob from an offset on; tried once.
   * @returns the answer, 200 or (only where an offset was given) 206 or 416.
   * @throws MydockerError `not-found` (BLOB_NOT_FOUND); else as {@link document}.
   */
  async blob(digest: Digest, offset: number, signal?: AbortSignal): Promise<HttpResponse> {
    const headers: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` };
    const answer = await this.#get(`blobs/${digest}`, headers, signal);
    if (answer.status === 200 || (offset > 0 && (answer.status === 206 || answer.status === 416)))
      return answer;
    throw refusal(this.host, answer, 'BLOB_NOT_FOUND', `it does not have ${digest}`);
  }

  /**
   * Asks the registry itself whether it lets us in.
   * @throws MydockerError `permission-denied` (REGISTRY_AUTH_FAILED); `not-found` where nothing answers as a
   * registry; else as {@link document}.
   */
  async knock(signal?: AbortSignal): Promise<void> {
    await this.#again(signal, async () => {
      const answer = await this.#get('', {}, signal);
      if (answer.status !== 200)
        throw refusal(this.host, answer, 'REGISTRY_ANSWER_INVALID', 'what answers is no registry');
      answer.discard();
    });
  }

  /** All tags, in the registry's order. @throws MydockerError as {@link document}. */
  async tags(signal?: AbortSignal): Promise<readonly string[]> {
    const { limits } = this.#registry;
    const found = new Set<string>();
    let rest = 'tags/list';
    for (;;) {
      const before = found.size;
      const { page, next } = await this.#again(signal, () => this.#tagPage(rest, signal));
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
    const answer = await this.#get(rest, {}, signal);
    if (answer.status !== 200)
      throw refusal(this.host, answer, 'MANIFEST_NOT_FOUND', `it has no repository ${quoteId(this.#path)}`);
    const link = /^<([^>]*)>\s*;\s*rel="?next"?/.exec(answer.header('link'))?.[1];
    const bytes = await answer.read(this.#registry.limits.documentBytes);
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

  /** Tries again what may succeed in a moment, and longer where the registry asks for it. */
  async #again<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const { limits } = this.#registry;
    for (let tries = 1; ; tries += 1) {
      try {
        return await work();
      } catch (error) {
        if (!isTransient(error) || error.reason === 'REGISTRY_UNREACHABLE' || tries >= limits.tries)
          throw error;
        await sleep(
          pauseMs(limits, tries, error.metadata),
          undefined,
          signal === undefined ? {} : { signal },
        );
      }
    }
  }

  async #get(
    rest: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<HttpResponse> {
    const registry = this.#registry;
    const asked = (): Asked => {
      const url = new URL(this.#path === '' ? '/v2/' : `/v2/${this.#path}/${rest}`, registry.origin);
      return { method: 'GET', url, headers, signal };
    };
    try {
      return await this.#ask(asked());
    } catch (error) {
      // Nobody listens on the way to ourselves; elsewhere the administrator must have said so.
      const isPlain = (error as { reason?: unknown }).reason === NOT_TLS_REASON;
      if (!isPlain || !isLoopback(registry.origin.hostname) || registry.origin.protocol === 'http:')
        throw error;
      registry.origin = new URL(`http://${registry.origin.host}`);
      return await this.#ask(asked());
    }
  }

  /** Shows who we are where that is asked for. */
  async #ask(asked: Asked): Promise<HttpResponse> {
    for (let logins = 0; ; logins += 1) {
      const used = this.#authorization;
      const answer = await this.#follow(asked, used);
      if (answer.status !== 401) return answer;
      const header = answer.header('www-authenticate');
      answer.discard();
      if (logins >= MAX_LOGINS - 1) throw refused(this.host, this.#credentials !== undefined);
      await this.#logIn(header, used, asked.signal);
    }
  }

  async #logIn(header: string, used: string, signal: AbortSignal | undefined): Promise<void> {
    // Another request has a newer one by now.
    if (this.#authorization !== used) return;
    const credentials = this.#credentials;
    if (credentials !== undefined && credentials.registryToken !== '') throw refused(this.host, true);
    const challenges = parseChallenges(header);
    if (challenges === undefined)
      throw registryError(this.host, 'it wants credentials in a way that cannot be read');
    this.#challenge = challenges.find(({ scheme }) => scheme === 'bearer');
    if (this.#challenge !== undefined) {
      const { host, origin, http, settings, limits, tokens } = this.#registry;
      const context: TokenContext = { host, origin, http, settings, limits, credentials, signal };
      const scope = this.#path === '' ? '' : `repository:${this.#path}:pull`;
      const token = await tokens.get(context, this.#challenge, scope, used.replace(/^Bearer /, ''));
      this.#authorization = `Bearer ${token}`;
      return;
    }
    const isBasic = challenges.some(({ scheme }) => scheme === 'basic');
    if (!isBasic || credentials === undefined || credentials.username === '' || used !== '')
      throw refused(this.host, isBasic && credentials !== undefined);
    this.#authorization = basicAuthorization(credentials);
  }

  /** The registry's own answer, or that of the place where it keeps its blobs; who we are is told to it alone. */
  async #follow(asked: Asked, authorization: string): Promise<HttpResponse> {
    const { http, origin, limits } = this.#registry;
    let { url } = asked;
    for (let redirects = 0; ; redirects += 1) {
      const isOwn = url.origin === origin.origin;
      const headers = { ...asked.headers, ...(isOwn && authorization !== '' ? { authorization } : {}) };
      const answer = await http.send({ ...asked, url, headers, isOther: url.hostname !== origin.hostname });
      if (answer.status < 300 || answer.status >= 400 || answer.status === 304) return answer;
      answer.discard();
      if (redirects >= limits.redirects)
        throw registryError(this.host, `it redirects more than ${limits.redirects} times`, {
          reason: 'REGISTRY_LIMIT',
        });
      url = this.#redirected(url, answer.header('location'));
    }
  }

  #redirected(from: URL, location: string): URL {
    const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
    const why =
      to === undefined || (to.protocol !== 'https:' && to.protocol !== 'http:')
        ? 'which is not on the web'
        : to.username !== '' || to.password !== ''
          ? 'which has a user in it'
          : from.protocol === 'https:' && to.protocol === 'http:'
            ? 'which would not be encrypted'
            : !maySendTo(this.#registry.origin.hostname, to.hostname)
              ? 'which nobody but this machine can reach'
              : '';
    if (to !== undefined && why === '') return to;
    throw registryError(this.host, `it redirects to ${quoteId(to?.host || location)}, ${why}`, {
      reason: 'REGISTRY_FORBIDDEN_HOST',
    });
  }
}

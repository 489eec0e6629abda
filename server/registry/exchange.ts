/**
 * Questions to one registry about one repository: asked with what the registry wants to see first, again where
 * that may help, and followed to where it sends us, within what it may send us to.
 * Source: OCI distribution-spec.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { quoteId } from '../model/error.ts';
import type { RegistryLimits, RegistrySettings } from '../model/registry.ts';
import { isLoopback, maySendTo } from './addresses.ts';
import { parseChallenges } from './challenge.ts';
import { type Http, type HttpRequest, type HttpResponse, NOT_TLS_REASON } from './http.ts';
import { pauseMs } from './refusal.ts';
import { isTransient, registryError } from './registry-error.ts';
import {
  basicAuthorization,
  type Credentials,
  type Login,
  refused,
  type TokenContext,
  type Tokens,
} from './token.ts';

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

/** What is asked. */
export interface Question extends Omit<Asked, 'url'> {
  /** Below the repository: `manifests/1`; or where the registry said that an upload goes on. */
  readonly at: string | URL;
}

interface Asked extends Omit<HttpRequest, 'isOther'> {
  readonly signal: AbortSignal | undefined;
}

/** Each time for another reason: who we are, a fresh token. */
const MAX_LOGINS = 3;

export class Exchange {
  readonly host: string;
  readonly limits: RegistryLimits;
  readonly #registry: RegistryState;
  readonly #path: string;
  readonly #scope: string;
  readonly #tries: number;
  readonly #credentials: Credentials | undefined;
  #authorization = '';
  #hasAnswered = false;
  #login: Login | undefined;

  /**
   * @param path - `library/redis`; `''`: the registry itself. @param credentials - absent: anonymous.
   * @param scope - what a token is asked for; absent: to pull. @param tries - of a request; absent: as the limits say.
   */
  constructor(
    registry: RegistryState,
    path: string,
    credentials?: Credentials,
    scope?: string,
    tries: number = registry.limits.tries,
  ) {
    this.#tries = tries;
    this.host = registry.host;
    this.limits = registry.limits;
    this.#registry = registry;
    this.#path = path;
    this.#scope = scope ?? (path === '' ? '' : `repository:${path}:pull`);
    this.#credentials = credentials;
    if (credentials !== undefined && credentials.registryToken !== '')
      this.#authorization = `Bearer ${credentials.registryToken}`;
  }

  /** Tries again what may succeed in a moment, and longer where the registry asks for it. */
  async again<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const { limits } = this;
    for (let tries = 1; ; tries += 1) {
      try {
        return await work();
      } catch (error) {
        // Who never answered is not there; who did comes back.
        const isNobody =
          (error as { reason?: unknown }).reason === 'REGISTRY_UNREACHABLE' && !this.#hasAnswered;
        if (!isTransient(error) || isNobody || tries >= this.#tries) throw error;
        await sleep(
          pauseMs(limits, tries, error.metadata),
          undefined,
          signal === undefined ? {} : { signal },
        );
      }
    }
  }

  /** Asks for something below the repository. @throws MydockerError as {@link ask}. */
  async get(
    rest: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<HttpResponse> {
    return await this.ask({ method: 'GET', at: rest, headers, signal });
  }

  /**
   * One request, with what the registry wants to see first, followed to where it sends us.
   * @throws MydockerError `permission-denied` (REGISTRY_AUTH_FAILED), `failed-precondition`
   * (REGISTRY_FORBIDDEN_HOST); as http.ts.
   */
  async ask(question: Question): Promise<HttpResponse> {
    const registry = this.#registry;
    const asked = (): Asked => {
      const { at, ...rest } = question;
      return { ...rest, url: typeof at === 'string' ? this.address(at) : at };
    };
    const first = asked();
    try {
      return await this.#ask(first);
    } catch (error) {
      // Nobody listens on the way to ourselves; elsewhere the administrator must have said so.
      const isPlain = (error as { reason?: unknown }).reason === NOT_TLS_REASON;
      if (!isPlain || !isLoopback(registry.origin.hostname) || first.url.protocol === 'http:') throw error;
      // Another request may have found it out meanwhile.
      if (registry.origin.protocol === 'https:') registry.origin = new URL(`http://${registry.origin.host}`);
      return await this.#ask(asked());
    }
  }

  /** Asks for a token to keep with every token from now on. @returns where it stands then. */
  logsIn(): Login {
    this.#login ??= { identityToken: '' };
    return this.#login;
  }

  /** Address of something below the repository. */
  address(rest: string): URL {
    return new URL(this.#path === '' ? '/v2/' : `/v2/${this.#path}/${rest}`, this.#registry.origin);
  }

  /**
   * Where an upload goes on.
   * @param from - what was asked. @param location - as the registry gave it.
   * @throws MydockerError `failed-precondition` (REGISTRY_FORBIDDEN_HOST) for a place that it may not send us to.
   */
  locate(from: URL, location: string): URL {
    return this.#redirected(from, location);
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
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    if (bearer !== undefined) {
      const { host, origin, http, settings, limits, tokens } = this.#registry;
      const context: TokenContext = {
        host,
        origin,
        http,
        settings,
        limits,
        credentials,
        signal,
        login: this.#login,
      };
      const token = await tokens.get(context, bearer, this.#scope, used.replace(/^Bearer /, ''));
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
      this.#hasAnswered = true;
      if (answer.status < 300 || answer.status >= 400 || answer.status === 304) return answer;
      // Elsewhere it would become another question.
      if (asked.method !== 'GET' && asked.method !== 'HEAD' && answer.status < 307) return answer;
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

/**
 * Bearer tokens: asked for at the place that a registry names, where that place may be asked, and given
 * credentials only where it may have them. Kept for as long as they are good, apart for each registry, scope
 * and user.
 * Source: the distribution project, "Token Authentication Specification".
 */
import { hash } from 'node:crypto';
import { quoteId } from '../model/error.ts';
import type { RegistryLimits, RegistrySettings } from '../model/registry.ts';
import { maySendTo } from './addresses.ts';
import type { Challenge } from './challenge.ts';
import type { Http } from './http.ts';
import { registryAway, registryError } from './registry-error.ts';

/** Who asks; all empty: anybody. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** Refresh token of a login, instead of name and password. */
  readonly identityToken: string;
  /** Bearer token to use as it is. */
  readonly registryToken: string;
}

/** What a token is asked for with. */
export interface TokenContext {
  /** Of the registry, for errors. */
  readonly host: string;
  /** Where it answers. */
  readonly origin: URL;
  readonly http: Http;
  readonly settings: RegistrySettings;
  readonly limits: RegistryLimits;
  readonly credentials: Credentials | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Somebody logs in: nothing that was kept is taken, and a token to keep instead of the password is asked for. */
  readonly login?: Login | undefined;
}

/** What comes of a login. */
export interface Login {
  /** Refresh token; `''`: the registry gave none. */
  identityToken: string;
}

/** A question that others may wait for. */
interface Asked {
  readonly token: Promise<string>;
  readonly signal: AbortSignal | undefined;
}

interface Kept {
  readonly token: string;
  /** ms since epoch. */
  readonly until: number;
}

const MAX_KEPT = 1000;
/** Of a token that does not say, and the longest that is believed, in seconds. */
const LIFE_S = 60;
const MAX_LIFE_S = 3600;
/** A token that ends in the next moment is none. */
const MARGIN_MS = 10_000;
const MAX_TOKEN_CHARS = 32_768;
/** Our name, for token servers. */
const CLIENT = 'mydocker';
const TOKEN = /^[\x21-\x7e]+$/;

/** Endings below which everybody may have a name, of two parts; deeper ones are told by their length. */
const PUBLIC_SECOND = /^(?:co|com|net|org|gov|edu|ac)\.[a-z]{2}$/;

/** Tokens of one server. */
export class Tokens {
  readonly #kept = new Map<string, Kept>();
  readonly #asked = new Map<string, Asked>();

  /**
   * @param scope - `repository:library/redis:pull`, or several with spaces between: ours, not what the
   * challenge asks for.
   * @param stale - a token that was refused: it is not given again.
   * @throws MydockerError `permission-denied` where the credentials are refused, `failed-precondition` where
   * the place to ask at must not be asked; as http.ts.
   */
  async get(context: TokenContext, challenge: Challenge, scope: string, stale: string): Promise<string> {
    const realm = realmOf(context, challenge.parameters.get('realm') ?? '');
    const service = challenge.parameters.get('service') ?? '';
    const key = hash(
      'sha256',
      JSON.stringify([context.origin.origin, realm.href, service, scope, context.credentials ?? null]),
      'hex',
    );
    if (context.login !== undefined) return await this.#ask(context, realm, service, scope, key);
    for (;;) {
      const kept = this.#kept.get(key);
      if (kept !== undefined && kept.until > Date.now() && kept.token !== stale) return kept.token;
      const before = this.#asked.get(key);
      if (before === undefined) break;
      try {
        return await before.token;
      } catch (error) {
        // Who asked has left; that is nothing to who stays.
        if (before.signal?.aborted !== true || context.signal?.aborted === true) throw error;
      }
    }
    const { signal } = context;
    const token = this.#ask(context, realm, service, scope, key).finally(() => this.#asked.delete(key));
    this.#asked.set(key, { token, signal });
    return await token;
  }

  async #ask(
    context: TokenContext,
    realm: URL,
    service: string,
    scope: string,
    key: string,
  ): Promise<string> {
    const { token, lifeS } = await ask(context, realm, service, scope);
    this.#kept.delete(key);
    this.#kept.set(key, { token, until: Date.now() + lifeS * 1000 - MARGIN_MS });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MAX_KEPT) break;
      this.#kept.delete(oldest);
    }
    return token;
  }
}

async function ask(
  context: TokenContext,
  realm: URL,
  service: string,
  scope: string,
): Promise<{ token: string; lifeS: number }> {
  const { host, http, credentials, limits, signal, origin, login } = context;
  const secret =
    credentials !== undefined && (credentials.identityToken !== '' || credentials.username !== '');
  if (secret && !mayHaveSecrets(context, realm))
    throw registryError(host, `it wants its credentials to be sent to ${quoteId(realm.host)}`, {
      code: 'permission-denied',
      reason: 'REGISTRY_FORBIDDEN_HOST',
      hint: 'where that is right, name it in token-hosts of the registry in the file of the server',
    });
  const isOther = realm.origin !== origin.origin;
  const fields = {
    ...(service === '' ? {} : { service }),
    ...(scope === '' ? {} : { scope }),
    ...(login === undefined ? {} : { offline_token: 'true', client_id: CLIENT }),
  };
  const answer = await http.send(
    secret && credentials.identityToken !== ''
      ? { ...refresh(realm, fields, credentials), signal, isOther }
      : { ...get(realm, fields, secret ? credentials : undefined), signal, isOther },
  );
  if (answer.status === 401 || answer.status === 403) {
    answer.discard();
    throw refused(host, secret);
  }
  if (answer.status !== 200) {
    answer.discard();
    const why = `asked for a token, ${quoteId(realm.host)} answers with status ${answer.status}`;
    throw answer.status >= 500 || answer.status === 429 ? registryAway(host, why) : registryError(host, why);
  }
  const found = tokenOf(host, await answer.read(limits.tokenBytes));
  if (login !== undefined && secret) login.identityToken = found.identityToken;
  return found;
}

type Fields = Readonly<Record<string, string>>;

function get(realm: URL, fields: Fields, credentials: Credentials | undefined) {
  const url = new URL(realm);
  for (const [name, value] of Object.entries(fields)) {
    // Each scope by itself, so that one that is refused does not take the others with it.
    if (name === 'scope') for (const one of value.split(' ')) url.searchParams.append(name, one);
    else url.searchParams.set(name, value);
  }
  const headers: Record<string, string> =
    credentials === undefined ? {} : { authorization: basicAuthorization(credentials) };
  return { method: 'GET', url, headers } as const;
}

function refresh(realm: URL, fields: Fields, { identityToken }: Credentials) {
  const form = { grant_type: 'refresh_token', client_id: CLIENT, refresh_token: identityToken };
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const body = new URLSearchParams({ ...form, ...fields }).toString();
  return { method: 'POST', url: realm, headers, body } as const;
}

/** Of name and password. */
export function basicAuthorization({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** The registry, or its token server, says no. */
export function refused(host: string, withCredentials: boolean): Error {
  return registryError(
    host,
    withCredentials ? 'it refuses the credentials' : 'it wants credentials, or has no such repository',
    {
      code: 'permission-denied',
      reason: 'REGISTRY_AUTH_FAILED',
      hint: `mydocker login ${host}`,
    },
  );
}

function realmOf({ host, origin }: TokenContext, text: string): URL {
  const forbidden = (why: string): Error =>
    registryError(host, `it gives out tokens at ${quoteId(text)}, ${why}`, {
      reason: 'REGISTRY_FORBIDDEN_HOST',
    });
  if (!URL.canParse(text)) throw forbidden('which is no address');
  const realm = new URL(text);
  if (realm.protocol !== 'https:' && realm.protocol !== 'http:') throw forbidden('which is not on the web');
  if (realm.username !== '' || realm.password !== '') throw forbidden('which has a user in it');
  if (realm.protocol === 'http:' && origin.protocol === 'https:')
    throw forbidden('which would not be encrypted');
  if (!maySendTo(origin.hostname, realm.hostname)) throw forbidden('which nobody but this machine can reach');
  realm.hash = '';
  return realm;
}

/** Its own host, one of the same domain, or one that the administrator named. */
function mayHaveSecrets({ origin, settings }: TokenContext, realm: URL): boolean {
  if (realm.hostname === origin.hostname) return true;
  if (settings.tokenHosts.includes(realm.hostname)) return true;
  if (realm.protocol !== 'https:') return false;
  const domain = origin.hostname.split('.').slice(1).join('.');
  const isOwn = domain.includes('.') && !PUBLIC_SECOND.test(domain) && !/^[\d.]+$/.test(domain);
  return (
    realm.hostname.endsWith(`.${origin.hostname}`) ||
    (isOwn && (realm.hostname === domain || realm.hostname.endsWith(`.${domain}`)))
  );
}

function tokenOf(host: string, bytes: Buffer): { token: string; lifeS: number; identityToken: string } {
  let answer: unknown;
  try {
    answer = JSON.parse(bytes.toString());
  } catch {
    throw registryError(host, 'the answer to a request for a token is no JSON');
  }
  const field = (name: string): unknown =>
    typeof answer === 'object' && answer !== null && Object.hasOwn(answer, name)
      ? (answer as Record<string, unknown>)[name]
      : undefined;
  const isToken = (value: unknown): value is string =>
    typeof value === 'string' && TOKEN.test(value) && value.length <= MAX_TOKEN_CHARS;
  const token = field('token') ?? field('access_token');
  if (!isToken(token)) throw registryError(host, 'the answer to a request for a token has none in it');
  const identityToken = field('refresh_token') ?? '';
  if (identityToken !== '' && !isToken(identityToken))
    throw registryError(host, 'the answer to a request for a token has a refresh token that is none');
  const life = field('expires_in');
  const lifeS = typeof life === 'number' && life > 0 ? Math.min(life, MAX_LIFE_S) : LIFE_S;
  return { token, lifeS: Math.max(lifeS, LIFE_S), identityToken };
}

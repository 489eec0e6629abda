/**
 * What an administrator says about registries: how each is reached, whom its credentials may be given to, and
 * the limits of everything that one sends. Pure: the server's file is read elsewhere.
 */
import { invalidArgument, quoteId } from './error.ts';
import { parseReference } from './reference.ts';

/** How one registry is reached. */
export interface RegistrySettings {
  /** Without TLS; on the loopback it is tried by itself. Default false. */
  readonly plainHttp: boolean;
  /** Path of a PEM file with the authorities to trust instead of the system's; absent: those. */
  readonly ca?: string;
  /** Paths of PEM files: with which certificate and key this client shows who it is; both or none. */
  readonly clientCert?: string;
  readonly clientKey?: string;
  /** Host names beside its own that may be given its credentials for a token: `auth.example.org`. */
  readonly tokenHosts: readonly string[];
  /** Asked before it, in this order; how each is reached is said under its own name. */
  readonly mirrors: readonly Mirror[];
  /** The registry itself is never asked. */
  readonly mirrorsOnly: boolean;
  /** Path of a file with what is shown to it where it is asked as a mirror, in the form of Docker's config.json. */
  readonly authFile?: string;
}

/** Where another registry's repositories can be had as well. */
export interface Mirror {
  /** Host and port. */
  readonly domain: string;
  /** In front of the repository's name: `dockerhub`; `''`: nothing. */
  readonly path: string;
}

/** By host and port as references have them: `registry.example:5000`. */
export type Registries = Readonly<Record<string, RegistrySettings>>;

/** Limits of what a registry sends; all may be set in the server's file, as `registry-limits`. */
export interface RegistryLimits {
  /** Until the head of an answer is there, in ms; connecting included. */
  readonly answerMs: number;
  /** Until the next byte of a body, in ms. */
  readonly idleMs: number;
  /** After so many ms of waiting for bytes, at least `slowBytes` must have come. */
  readonly slowMs: number;
  readonly slowBytes: number;
  /** Head of an answer, in bytes. */
  readonly headerBytes: number;
  /** Manifests, indexes and lists of tags. */
  readonly documentBytes: number;
  /** Answer of a token server. */
  readonly tokenBytes: number;
  /** In a row. */
  readonly redirects: number;
  /** Of one request, and of one download without a byte in between. */
  readonly tries: number;
  /** Of one download in all. */
  readonly resumes: number;
  /** First pause between two tries, in ms; doubled each time, up to `retryAfterMs`. */
  readonly pauseMs: number;
  /** Longest pause that a registry may ask for, in ms. */
  readonly retryAfterMs: number;
  /** Layers of one pull that are fetched at the same time. */
  readonly downloads: number;
  /** Layers of one push that are sent at the same time. */
  readonly uploads: number;
  /** Tags of one repository. */
  readonly tags: number;
  /** Bytes of layers that came whole or in part and are kept for the next try. */
  readonly keptBytes: number;
}

/** What is used where nothing else is said. */
export const REGISTRY_LIMITS: RegistryLimits = {
  answerMs: 30_000,
  idleMs: 30_000,
  slowMs: 60_000,
  slowBytes: 65_536,
  headerBytes: 65_536,
  documentBytes: 4 * 2 ** 20,
  tokenBytes: 262_144,
  redirects: 5,
  tries: 5,
  resumes: 50,
  pauseMs: 200,
  retryAfterMs: 30_000,
  downloads: 3,
  uploads: 3,
  tags: 10_000,
  keptBytes: 4 * 2 ** 30,
};

const NONE: RegistrySettings = { plainHttp: false, tokenHosts: [], mirrors: [], mirrorsOnly: false };

/** What was said about a registry; nothing: the defaults. */
export function settingsOf(registries: Registries, domain: string): RegistrySettings {
  return Object.hasOwn(registries, domain) ? (registries[domain] ?? NONE) : NONE;
}

const PATHS = {
  ca: 'ca',
  'client-cert': 'clientCert',
  'client-key': 'clientKey',
  'auth-file': 'authFile',
} as const;
const FLAGS = { 'plain-http': 'plainHttp', 'mirrors-only': 'mirrorsOnly' } as const;
/** More would only be waited for. */
const MAX_MIRRORS = 8;
const HOST = /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/;

/**
 * Reads `registries` of the server's file.
 * @param file - its path, for errors.
 * @throws MydockerError `invalid-argument` naming the registry and what is wrong with it.
 */
export function parseRegistries(file: string, value: unknown): Registries {
  const found: Record<string, RegistrySettings> = {};
  for (const [domain, settings] of entriesOf(`${file}: registries`, value)) {
    const name = `${file}: registry ${quoteId(domain)}`;
    let one: Record<string, unknown> = { ...NONE };
    for (const [key, given] of entriesOf(name, settings)) one = { ...one, ...setting(name, key, given) };
    if ((one['clientCert'] === undefined) !== (one['clientKey'] === undefined))
      throw wrong(name, 'has only one of client-cert and client-key');
    if (one['mirrorsOnly'] === true && (one['mirrors'] as readonly Mirror[]).length === 0)
      throw wrong(name, 'has mirrors-only and no mirrors');
    found[domain.toLowerCase()] = one as unknown as RegistrySettings;
  }
  return found;
}

/**
 * Reads `registry-limits` of the server's file.
 * @param file - its path, for errors.
 * @throws MydockerError `invalid-argument`.
 */
export function parseRegistryLimits(file: string, value: unknown): RegistryLimits {
  const limits: Record<string, number> = { ...REGISTRY_LIMITS };
  for (const [name, limit] of entriesOf(`${file}: registry-limits`, value)) {
    if (!Object.hasOwn(REGISTRY_LIMITS, name) || !Number.isSafeInteger(limit) || Number(limit) <= 0)
      throw wrong(
        `${file}: registry-limits`,
        `takes numbers above 0 named ${Object.keys(REGISTRY_LIMITS).join(', ')}`,
      );
    limits[name] = Number(limit);
  }
  return limits as unknown as RegistryLimits;
}

function setting(name: string, key: string, value: unknown): Record<string, unknown> {
  if (key === 'plain-http' || key === 'mirrors-only') {
    if (typeof value !== 'boolean') throw wrong(name, `has a ${key} that is neither true nor false`);
    return { [FLAGS[key]]: value };
  }
  if (key === 'mirrors') {
    if (!Array.isArray(value) || value.length > MAX_MIRRORS)
      throw wrong(name, `has ${key} that are no list of at most ${MAX_MIRRORS}`);
    return { mirrors: value.map((text) => mirror(name, text)) };
  }
  if (key === 'token-hosts') {
    if (!Array.isArray(value) || !value.every((host) => typeof host === 'string' && HOST.test(host)))
      throw wrong(name, `has ${key} that are no list of host names`);
    return { tokenHosts: value };
  }
  if (!Object.hasOwn(PATHS, key)) throw wrong(name, `has ${quoteId(key)}, which is no setting`);
  if (typeof value !== 'string' || !value.startsWith('/'))
    throw wrong(name, `has a ${key} that is no absolute path`);
  return { [PATHS[key as keyof typeof PATHS]]: value };
}

function mirror(name: string, text: unknown): Mirror {
  const unfit = wrong(name, `has a mirror ${quoteId(String(text))}, which is no HOST[:PORT][/PATH]`);
  try {
    const { domain, path } = parseReference(`${text}/x`);
    if (typeof text === 'string' && `${domain}/${path}` === `${text}/x`)
      return { domain, path: path.replace(/\/?x$/, '') };
  } catch {
    // as below
  }
  throw unfit;
}

function entriesOf(name: string, value: unknown): [string, unknown][] {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return Object.entries(value);
  throw wrong(name, 'is no object');
}

function wrong(name: string, why: string): Error {
  return invalidArgument(`cannot read configuration: ${name} ${why}`, { reason: 'CONFIG_FILE_INVALID' });
}

/**
 * Image references: the strict grammar of the distribution project, the normal form that the store keeps
 * (`docker.io/library/redis:7`), and the short form that people know (`redis:7`).
 */
import { type ContentDigest, isContentDigest } from './digest.ts';
import { invalidArgument, type MydockerError, quoteId } from './error.ts';

/** A reference, normalized: it always has a domain, and a tag or a digest. */
export interface Reference {
  /** Host with optional port, lower case: `docker.io`, `localhost:5000`, `[::1]:5000`. */
  readonly domain: string;
  /** `library/redis`. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: ContentDigest;
}

const DEFAULT_DOMAIN = 'docker.io';
const DEFAULT_TAG = 'latest';
/** Longest domain and path together, in characters. */
const MAX_NAME_CHARS = 255;
/** A name, a tag of 128, a digest of 135, and the separators. */
const MAX_REFERENCE_CHARS = MAX_NAME_CHARS + 1 + 128 + 1 + 135;

const PATH_COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const HOST_LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
const IPV6 = /^\[[0-9a-f:]{2,45}\]$/;

/**
 * Parses a reference as a user types it; the domain becomes docker.io, one-part names go below `library/`,
 * and without tag and digest the tag is `latest`.
 * @throws MydockerError `invalid-argument`, naming the part that is wrong.
 */
export function parseReference(text: string): Reference {
  if (text === '') throw invalid(text, 'it is empty');
  if (text.length > MAX_REFERENCE_CHARS) throw invalid(text, 'it is too long');
  if (/^[0-9a-f]{64}$/.test(text)) throw invalid(text, 'it looks like an image id');
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : parseDigestPart(text, text.slice(at + 1));
  const rest = at < 0 ? text : text.slice(0, at);
  // A colon before the last slash belongs to the domain's port or to an IPv6 address.
  const colon = rest.indexOf(':', rest.lastIndexOf('/') + 1);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  if (tag !== undefined && !TAG.test(tag)) {
    throw invalid(text, 'its tag must be 1 to 128 letters, digits, _ . and -, the first one not . or -');
  }
  const [domain, path] = parseNamePart(text, colon < 0 ? rest : rest.slice(0, colon));
  if (tag === undefined && digest === undefined) return { domain, path, tag: DEFAULT_TAG };
  return { domain, path, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

/** The full form, by which the store finds it: `docker.io/library/redis:7`. */
export function formatReference(reference: Reference): string {
  return `${reference.domain}/${reference.path}${suffix(reference)}`;
}

/** The form by which an image is found: a digest says more than the tag beside it. */
export function lookupReference({ domain, path, tag, digest }: Reference): string {
  return formatReference({
    domain,
    path,
    ...(digest !== undefined ? { digest } : tag === undefined ? {} : { tag }),
  });
}

/**
 * Parses the name of a repository, without tag and digest.
 * @throws MydockerError `invalid-argument` as {@link parseReference}, and where one of them is given.
 */
export function parseRepository(text: string): Pick<Reference, 'domain' | 'path'> {
  const { domain, path } = parseReference(text);
  if (!text.includes('@') && !text.slice(text.lastIndexOf('/') + 1).includes(':')) return { domain, path };
  throw invalid(text, 'all tags of a repository are meant, and one is given');
}

/** The short form, as people type it: `redis:7`, `user/app:1`, `localhost:5000/app:1`. */
export function familiarReference(reference: Reference): string {
  const { domain, path } = reference;
  if (domain !== DEFAULT_DOMAIN) return formatReference(reference);
  const inner = path.startsWith('library/') ? path.slice('library/'.length) : path;
  // `library/a/b` has to stay whole, or it would read as the user path `a/b`.
  const short = inner.includes('/') ? path : inner;
  // And `docker.io/x.y/b`, whose path would read as a host.
  if (splitDomain(short)[0] !== DEFAULT_DOMAIN) return formatReference(reference);
  return `${short}${suffix(reference)}`;
}

function suffix({ tag, digest }: Reference): string {
  return `${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

function parseDigestPart(text: string, digest: string): ContentDigest {
  if (isContentDigest(digest)) return digest;
  throw invalid(text, 'its digest must be sha256: and 64 lower-case hex digits, or sha512: and 128');
}

function parseNamePart(text: string, name: string): [domain: string, path: string] {
  const [domain, remainder] = splitDomain(name);
  checkDomain(text, domain);
  const path = domain === DEFAULT_DOMAIN && !remainder.includes('/') ? `library/${remainder}` : remainder;
  if (remainder !== remainder.toLowerCase()) throw invalid(text, 'its repository name must be lower case');
  for (const component of remainder.split('/')) {
    if (!PATH_COMPONENT.test(component)) {
      throw invalid(
        text,
        component === ''
          ? 'a part of its name is empty'
          : 'a part of its name is not letters and digits parted by single . _ or any number of -',
      );
    }
  }
  if (domain.length + 1 + path.length > MAX_NAME_CHARS) {
    throw invalid(text, `its name is longer than ${MAX_NAME_CHARS} characters`);
  }
  if (domain === DEFAULT_DOMAIN && path === 'library/scratch')
    throw invalid(text, 'scratch is a reserved name');
  // `sha256:…` is an id, as with Docker.
  if (domain === DEFAULT_DOMAIN && path === 'library/sha256') throw invalid(text, 'sha256 begins ids');
  return [domain, path];
}

/** The first part is a domain only when nobody could take it for a user name. */
function splitDomain(name: string): [domain: string, remainder: string] {
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  if (!/[.:]/.test(first) && first !== 'localhost') return [DEFAULT_DOMAIN, name];
  const domain = first.toLowerCase();
  const known = domain === 'index.docker.io' ? DEFAULT_DOMAIN : domain;
  return [known, name.slice(slash + 1)];
}

function checkDomain(text: string, domain: string): void {
  const match = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(domain);
  const host = match?.[1] ?? '';
  const port = match?.[2];
  const hostOk = host.startsWith('[')
    ? IPV6.test(host)
    : host.split('.').every((label) => HOST_LABEL.test(label));
  if (!hostOk) throw invalid(text, 'its domain is not a host name');
  if (port !== undefined && !(/^[1-9]\d{0,4}$/.test(port) && Number(port) <= 65_535)) {
    throw invalid(text, 'its port must be 1 to 65535');
  }
}

function invalid(text: string, why: string): MydockerError {
  return invalidArgument(`invalid image reference ${quoteId(text)}: ${why}`, {
    reason: 'REFERENCE_INVALID',
    hint: 'for example busybox:1.35 or localhost:5000/app@sha256:…',
  });
}

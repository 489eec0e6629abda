/**
 * What this server shows to a mirror: name and password from a file of the administrator's, in the form that
 * `login` writes. Read for each pull, so that it may change under a running server.
 */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import type { MydockerError } from '../model/error.ts';
import { registryError } from './registry-error.ts';
import type { Credentials } from './token.ts';

const MAX_BYTES = 1 << 20;
/** Others than owner and group. */
const OTHERS = 0o007;

/**
 * @param host - of the mirror, as the file names it.
 * @returns undefined: the file has nothing for it.
 * @throws MydockerError `failed-precondition` (CONFIG_FILE_INVALID) that names the file and nothing in it.
 */
export function readAuthFile(host: string, path: string): Credentials | undefined {
  const wrong = (why: string): MydockerError =>
    registryError(host, `${path} ${why}`, { reason: 'CONFIG_FILE_INVALID' });
  const auths = field(parse(path, wrong), 'auths');
  const entry = field(auths, host);
  if (entry === undefined) return undefined;
  const [auth, identityToken, registryToken] = ['auth', 'identitytoken', 'registrytoken'].map((name) => {
    const value = field(entry, name) ?? '';
    if (typeof value !== 'string') throw wrong(`has an entry for ${host} that is none`);
    return value;
  }) as [string, string, string];
  const decoded = Buffer.from(auth, 'base64').toString();
  const colon = decoded.indexOf(':');
  if (
    (colon < 0 && decoded !== '') ||
    [decoded, identityToken, registryToken].some((text) => /\p{Cc}/u.test(text))
  )
    throw wrong(`has an entry for ${host} that is none`);
  const username = decoded.slice(0, Math.max(colon, 0));
  return { username, password: decoded.slice(colon + 1), identityToken, registryToken };
}

function parse(path: string, wrong: (why: string) => Error): unknown {
  let text: string;
  try {
    const file = openSync(path, 'r');
    try {
      const { mode, size } = fstatSync(file);
      if ((mode & OTHERS) !== 0) throw wrong('may be read by everybody, which is no place for a secret');
      if (size > MAX_BYTES) throw wrong('is too large');
      text = readFileSync(file, 'utf8');
    } finally {
      closeSync(file);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // One of ours has no errno.
    throw /^E[A-Z]+$/.test(String(code)) ? wrong(`cannot be read: ${code}`) : error;
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw wrong('is no JSON');
  }
}

/** Its own, of an object. */
function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

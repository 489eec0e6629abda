/** What an administrator says about proxies, in Docker's words. Pure: the server's file is read elsewhere. */
import { invalidArgument, quoteId } from './error.ts';

/** Each goes over what the server's environment says; `''`: none. */
export interface ProxySettings {
  /** Address for what goes over plain http, with name and password in it where the proxy wants them. */
  readonly http?: string;
  /** The same for https. */
  readonly https?: string;
  /** Hosts that are reached without one: `inner.example,10.0.0.0/8`. */
  readonly none?: string;
}

const NAMES = { 'http-proxy': 'http', 'https-proxy': 'https', 'no-proxy': 'none' } as const;

/** @returns undefined: it is no address of a proxy. Without a scheme it is `http:`, as everywhere. */
export function proxyAddress(text: string): URL | undefined {
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(full)) return undefined;
  const address = new URL(full);
  return ['http:', 'https:'].includes(address.protocol) && address.hostname !== '' ? address : undefined;
}

/**
 * Reads `proxies` of the server's file.
 * @param file - its path, for errors.
 * @throws MydockerError `invalid-argument`, without the address, which may have a password in it.
 */
export function parseProxies(file: string, value: unknown): ProxySettings {
  const wrong = (why: string): Error =>
    invalidArgument(`cannot read configuration: ${file}: proxies ${why}`, { reason: 'CONFIG_FILE_INVALID' });
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('is no object');
  const settings: Record<string, string> = {};
  for (const [key, text] of Object.entries(value as Record<string, unknown>)) {
    if (!Object.hasOwn(NAMES, key)) throw wrong(`has ${quoteId(key)}, which is no setting`);
    if (typeof text !== 'string') throw wrong(`has a ${key} that is no text`);
    if (key !== 'no-proxy' && text !== '' && proxyAddress(text) === undefined)
      throw wrong(`has an ${key} that is no http:// or https:// address`);
    settings[NAMES[key as keyof typeof NAMES]] = text;
  }
  return settings;
}

/** The registries that a server has spoken to: how each is reached, its connections, its tokens. */
import { type Mirror, type Registries, type RegistryLimits, settingsOf } from '../model/registry.ts';
import { readAuthFile } from './auth-file.ts';
import type { RegistryState } from './exchange.ts';
import { createHttp } from './http.ts';
import { type ImageSource, mirroredSource } from './image-source.ts';
import type { ProxyFor } from './proxies.ts';
import { PushRepository } from './push-repository.ts';
import { Repository } from './repository.ts';
import { type Credentials, Tokens } from './token.ts';

/** Docker's own is not where its name says. */
const HOSTS: Readonly<Record<string, string>> = { 'docker.io': 'registry-1.docker.io' };
/** More than this many: the one that was not asked for longest is forgotten. */
const MAX_REGISTRIES = 64;

/** Opens repositories. */
export interface RegistryAccess {
  /**
   * @param domain - as references have it: `docker.io`, `localhost:5000`.
   * @param path - `library/redis`.
   * @throws MydockerError `failed-precondition` when a certificate's file cannot be read.
   */
  repository(domain: string, path: string, credentials?: Credentials): Repository;
  /**
   * The same, with its mirrors before it.
   * @param warn - told of each mirror that fails, in words for people.
   * @throws MydockerError as {@link repository}, for the registry itself.
   */
  source(
    domain: string,
    path: string,
    credentials: Credentials | undefined,
    warn: (why: string) => void,
  ): ImageSource;
  /** As {@link repository}, to send images to. */
  target(domain: string, path: string, credentials?: Credentials): PushRepository;
  /** Ends idle connections. */
  close(): void;
}

/** @param proxyFor - for all of them. */
export function createRegistryAccess(
  registries: Registries,
  limits: RegistryLimits,
  proxyFor: ProxyFor = () => undefined,
): RegistryAccess {
  const known = new Map<string, RegistryState>();
  const tokens = new Tokens();
  const state = (host: string): RegistryState => {
    const settings = settingsOf(registries, host);
    const scheme = settings.plainHttp ? 'http' : 'https';
    const origin = new URL(`${scheme}://${HOSTS[host] ?? host}`);
    return { host, settings, limits, tokens, origin, http: createHttp(host, settings, limits, proxyFor) };
  };
  const stateOf = (domain: string): RegistryState => {
    const found = known.get(domain) ?? state(domain);
    known.delete(domain);
    known.set(domain, found);
    // Its connections end by themselves: somebody may be using them.
    for (const oldest of known.keys()) if (known.size > MAX_REGISTRIES) known.delete(oldest);
    return found;
  };
  const mirror = ({ domain, path: prefix }: Mirror, path: string, isLast: boolean): Repository => {
    const found = stateOf(domain);
    const { authFile } = found.settings;
    const credentials = authFile === undefined ? undefined : readAuthFile(domain, authFile);
    // Where another one is there to be asked, nobody waits for this one.
    return new Repository(
      found,
      prefix === '' ? path : `${prefix}/${path}`,
      credentials,
      isLast ? limits.tries : 1,
    );
  };
  return {
    repository: (domain, path, credentials) => new Repository(stateOf(domain), path, credentials),
    source: (domain, path, credentials, warn) => {
      const { mirrors, mirrorsOnly } = settingsOf(registries, domain);
      if (mirrors.length === 0) return new Repository(stateOf(domain), path, credentials);
      const openers = mirrors.map((each, index) => {
        const isLast = mirrorsOnly && index === mirrors.length - 1;
        let opened: Repository | undefined;
        return (): Repository => {
          opened ??= mirror(each, path, isLast);
          return opened;
        };
      });
      const own = mirrorsOnly ? undefined : new Repository(stateOf(domain), path, credentials);
      return mirroredSource(domain, openers, own, warn);
    },
    target: (domain, path, credentials) => new PushRepository(stateOf(domain), path, credentials),
    close: () => {
      for (const { http } of known.values()) http.close();
      known.clear();
    },
  };
}

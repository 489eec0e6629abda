/** The registries that a server has spoken to: how each is reached, its connections, its tokens. */
import { type Registries, type RegistryLimits, settingsOf } from '../model/registry.ts';
import type { RegistryState } from './exchange.ts';
import { createHttp } from './http.ts';
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
  /** Ends idle connections. */
  close(): void;
}

export function createRegistryAccess(registries: Registries, limits: RegistryLimits): RegistryAccess {
  const known = new Map<string, RegistryState>();
  const tokens = new Tokens();
  const state = (host: string): RegistryState => {
    const settings = settingsOf(registries, host);
    const scheme = settings.plainHttp ? 'http' : 'https';
    const origin = new URL(`${scheme}://${HOSTS[host] ?? host}`);
    return { host, settings, limits, tokens, origin, http: createHttp(host, settings, limits) };
  };
  return {
    repository: (domain, path, credentials) => {
      const found = known.get(domain) ?? state(domain);
      known.delete(domain);
      known.set(domain, found);
      // Its connections end by themselves: somebody may be using them.
      for (const oldest of known.keys()) if (known.size > MAX_REGISTRIES) known.delete(oldest);
      return new Repository(found, path, credentials);
    },
    close: () => {
      for (const { http } of known.values()) http.close();
      known.clear();
    },
  };
}

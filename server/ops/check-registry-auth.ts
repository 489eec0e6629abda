/** Asks a registry whether credentials are right; nothing is kept of them. */
import { invalidArgument, quoteId } from '../model/error.ts';
import { parseReference } from '../model/reference.ts';
import type { Credentials } from '../registry/token.ts';
import type { ImageEngine } from './image-engine.ts';

/**
 * Host and port as references have them.
 * @throws MydockerError `invalid-argument` (REGISTRY_AUTH_INVALID) for what is no name of a registry.
 */
export function registryDomain(server: string): string {
  const { domain } = parseReference(`${server}/x/x`);
  if (domain === server) return domain;
  throw invalidArgument(`${quoteId(server)} is no name of a registry`, {
    reason: 'REGISTRY_AUTH_INVALID',
    hint: 'for example docker.io or registry.example:5000',
  });
}

/**
 * @param credentials - absent: whether it lets anybody in.
 * @returns the refresh token to keep instead of the password; `''`: the registry gives none.
 * @throws MydockerError `permission-denied` (REGISTRY_AUTH_FAILED); `unavailable`; as repository.ts.
 */
export async function checkRegistryAuth(
  engine: Pick<ImageEngine, 'registries'>,
  server: string,
  credentials: Credentials | undefined,
  signal?: AbortSignal,
): Promise<string> {
  return await engine.registries.repository(registryDomain(server), '', credentials).knock(signal);
}

/** grpc.reflection v1 and v1alpha: the contract as the server itself tells it to tools that have no copy. */
import { readFile } from 'node:fs/promises';
import type { ServerReflectionDefinition } from '../../proto/gen/grpc/reflection/v1/reflection.ts';
import { internal } from '../model/error.ts';
import type { Implementation } from './handlers.ts';
import type { Reflector } from './reflection.ts';

const DESCRIPTORS = new URL('../../proto/gen/mydocker.binpb', import.meta.url);

/**
 * Both versions have the same messages.
 * @param services - full names of all services that the server serves.
 */
export function reflectionService(
  services: readonly string[],
): Implementation<typeof ServerReflectionDefinition> {
  let loaded: Promise<Reflector> | undefined;
  return {
    async *serverReflectionInfo(requests) {
      // Few servers are ever asked, so nothing is loaded before one is.
      loaded ??= load(services);
      const reflect = await loaded.catch((cause: unknown) => {
        loaded = undefined;
        throw internal('cannot read the descriptors of the contract', {
          reason: 'DESCRIPTORS_MISSING',
          cause,
        });
      });
      for await (const request of requests) yield reflect(request);
    },
  };
}

async function load(services: readonly string[]): Promise<Reflector> {
  const [{ reflectionFrom }, descriptors] = await Promise.all([
    import('./reflection.ts'),
    readFile(DESCRIPTORS),
  ]);
  return reflectionFrom(descriptors, services);
}

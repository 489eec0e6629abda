/**
 * grpc.health.v1.Health: whether the server serves. All services live and die together, so one answer is
 * every service's.
 */
import {
  type HealthDefinition,
  HealthCheckResponse_ServingStatus as Serving,
} from '../../proto/gen/grpc/health/v1/health.ts';
import { notFound } from '../model/error.ts';
import type { Implementation } from './handlers.ts';

/**
 * @param services - full names that may be asked for; `''` is the server.
 * @param stopping - aborted when the server begins to stop.
 */
export function healthService(
  services: readonly string[],
  stopping: AbortSignal,
): Implementation<typeof HealthDefinition> {
  const known = new Set(['', ...services]);
  const status = (): Serving => (stopping.aborted ? Serving.NOT_SERVING : Serving.SERVING);
  return {
    check: ({ service }) => {
      if (!known.has(service)) throw notFound('service', service);
      return { status: status() };
    },
    list: () => ({
      statuses: Object.fromEntries([...known].map((service) => [service, { status: status() }])),
    }),
    async *watch({ service }, { signal }) {
      // A service that is not known may be one day; here it never is, and the call just stays.
      if (!known.has(service)) yield { status: Serving.SERVICE_UNKNOWN };
      else yield { status: status() };
      await Promise.race([aborted(stopping), aborted(signal)]);
      signal.throwIfAborted();
      yield { status: status() };
      await aborted(signal);
      signal.throwIfAborted();
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/**
 * How a fault of a registry is told: which registry, in one sentence, and whether another try can help.
 * Whoever knows the image puts its name in front.
 */
import { type ErrorCode, MydockerError } from '../model/error.ts';

/** More about a fault. */
export interface RegistryFault {
  readonly code?: ErrorCode;
  readonly reason?: string;
  readonly hint?: string;
  readonly cause?: unknown;
  /** Pause that the registry asks for, in ms. */
  readonly retryAfterMs?: number;
}

/**
 * @param host - as the user knows it: `docker.io`, `localhost:5000`.
 * @param why - without a full stop; what the registry said in it must be quoted.
 * @returns `cannot ask registry HOST: WHY`, default `failed-precondition` (REGISTRY_ANSWER_INVALID), the
 * cause alone as metadata `why`.
 */
export function registryError(host: string, why: string, fault: RegistryFault = {}): MydockerError {
  const { retryAfterMs, hint, cause } = fault;
  return new MydockerError(fault.code ?? 'failed-precondition', `cannot ask registry ${host}: ${why}`, {
    reason: fault.reason ?? 'REGISTRY_ANSWER_INVALID',
    metadata: {
      ...{ why: `registry ${host}: ${why}`, registry: host },
      ...(retryAfterMs === undefined ? {} : { retry_after_ms: String(retryAfterMs) }),
    },
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause }),
  });
}

/** It was not reached, broke off or is too busy. */
export function registryAway(host: string, why: string, fault: RegistryFault = {}): MydockerError {
  return registryError(host, why, { code: 'unavailable', reason: 'REGISTRY_UNAVAILABLE', ...fault });
}

/** Whether the same request may succeed in a moment. */
export function isTransient(error: unknown): error is MydockerError {
  return error instanceof MydockerError && error.code === 'unavailable';
}

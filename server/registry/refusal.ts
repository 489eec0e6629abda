/** What an answer means that is not what was asked for, and when another try may be made. */
import type { MydockerError } from '../model/error.ts';
import type { RegistryLimits } from '../model/registry.ts';
import type { HttpResponse } from './http.ts';
import { registryAway, registryError } from './registry-error.ts';

/**
 * @param reason - of an answer that says: not there.
 * @param why - the same in words.
 */
export function refusal(host: string, answer: HttpResponse, reason: string, why: string): MydockerError {
  const { status } = answer;
  const after = answer.header('retry-after');
  answer.discard();
  if (status === 404 || status === 410) return registryError(host, why, { code: 'not-found', reason });
  if (status === 403)
    return registryError(host, 'it forbids it', {
      code: 'permission-denied',
      reason: 'REGISTRY_AUTH_FAILED',
    });
  const told = `it answers with status ${status}`;
  if (status !== 408 && status !== 429 && status < 500) return registryError(host, told);
  return registryAway(host, told, { reason: 'REGISTRY_BUSY', retryAfterMs: retryAfterMs(after) });
}

/** In ms; 0 where it is not said, or not in words that are understood. */
function retryAfterMs(header: string): number {
  if (/^\d{1,12}$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? 0 : Math.max(0, at - Date.now());
}

/**
 * How long to wait before another try, in ms: longer each time, never the same for all who wait, and as long as
 * the registry asks for within the limit.
 * @param tries - that failed.
 * @param metadata - of the last error.
 */
export function pauseMs(
  limits: Pick<RegistryLimits, 'pauseMs' | 'retryAfterMs'>,
  tries: number,
  metadata: Readonly<Record<string, string>>,
): number {
  const own = limits.pauseMs * 2 ** Math.min(tries - 1, 16) * (0.5 + Math.random() / 2);
  return Math.min(limits.retryAfterMs, Math.max(own, Number(metadata['retry_after_ms'] ?? 0)));
}

/** The bytes are not what they were announced as. */
export function mismatch(host: string, why: string): MydockerError {
  return registryError(host, why, { code: 'invalid-argument', reason: 'DIGEST_MISMATCH' });
}

/**
 * What a registry means that does not take what it is sent: its own words, bounded and quoted, and what can be
 * done about it.
 * Source: OCI distribution-spec, "Error Codes".
 */
import { type MydockerError, quoteId } from '../model/error.ts';
import type { HttpResponse } from './http.ts';
import { refusal } from './refusal.ts';
import { registryError } from './registry-error.ts';

/** Reason of an error that says: this upload is of no use any more; a new one may be. */
export const UPLOAD_LOST = 'REGISTRY_UPLOAD_LOST';

const MAX_WORDS_BYTES = 16_384;
const MAX_WORDS_CHARS = 300;
const LOST = new Set([
  'BLOB_UPLOAD_UNKNOWN',
  'BLOB_UPLOAD_INVALID',
  'DIGEST_INVALID',
  'SIZE_INVALID',
  'RANGE_INVALID',
]);

/**
 * @param host - of the registry. @param what - that was sent: `layer sha256:…`.
 * @returns `permission-denied` (REGISTRY_AUTH_FAILED), `resource-exhausted` (REGISTRY_QUOTA), `unavailable`
 * (REGISTRY_BUSY), `failed-precondition` (REGISTRY_READ_ONLY, REGISTRY_REFUSED, {@link UPLOAD_LOST}).
 */
export async function pushRefusal(host: string, answer: HttpResponse, what: string): Promise<MydockerError> {
  const { status } = answer;
  const { code, words } = await readWords(answer);
  const told = words === '' ? '' : `: ${words}`;
  if (status === 403 || code === 'DENIED')
    return registryError(host, `it forbids ${what}${told}`, {
      ...{ code: 'permission-denied', reason: 'REGISTRY_AUTH_FAILED', hint: `mydocker login ${host}` },
    });
  if (status === 413 || status === 507)
    return registryError(host, `it has no room for ${what}${told}`, {
      ...{ code: 'resource-exhausted', reason: 'REGISTRY_QUOTA' },
    });
  if (status === 405 || code === 'UNSUPPORTED')
    return registryError(host, `it takes no images${told}`, { reason: 'REGISTRY_READ_ONLY' });
  if (status === 416 || LOST.has(code) || (status === 404 && code === ''))
    return registryError(host, `it cannot go on with ${what}${told}`, { reason: UPLOAD_LOST });
  if (status === 408 || status === 429 || status >= 500) return refusal(host, answer, '', '');
  return registryError(host, `it does not take ${what}, status ${status}${told}`, {
    reason: 'REGISTRY_REFUSED',
  });
}

/** Code and text of the first error, where the answer has any. */
async function readWords(answer: HttpResponse): Promise<{ code: string; words: string }> {
  // One that is longer, or breaks off, says as much as none.
  const bytes = await answer.read(MAX_WORDS_BYTES).catch(() => Buffer.alloc(0));
  let first: unknown;
  try {
    first = (JSON.parse(bytes.toString()) as { errors?: unknown[] } | null)?.errors?.[0];
  } catch {
    first = undefined;
  }
  const text = (name: string): string => {
    const has = typeof first === 'object' && first !== null && Object.hasOwn(first, name);
    const value = has ? (first as Record<string, unknown>)[name] : '';
    return typeof value === 'string' ? value.slice(0, MAX_WORDS_CHARS) : '';
  };
  const code = text('code');
  const message = text('message');
  return { code, words: [code, message].filter(Boolean).map(quoteId).join(' ') };
}

/**
 * The body of a request on its way out: never more of it in memory than one piece, and a limit on how long the
 * other side may let us wait with it.
 */
import type { ClientRequest } from 'node:http';
import type { RegistryLimits } from '../model/registry.ts';
import { registryAway } from './registry-error.ts';

/** A body that can be sent, and sent again. */
export interface HttpBody {
  readonly sizeBytes: number;
  /** From its first byte on, each time. A chunk is good until the next one is asked for. */
  chunks(): AsyncIterable<Buffer>;
}

/** What is known of a request while its body is sent. */
export interface Sending {
  /** There is an answer already, or the connection is gone: the rest need not be sent. */
  readonly isOver: () => boolean;
  /** Resolves when it is. */
  readonly over: Promise<void>;
}

/**
 * Sends a body to its end, or until there is an answer.
 * @param host - of the registry, for errors.
 * @throws MydockerError `unavailable` where the other side stops taking it or crawls; what the body throws.
 */
export async function sendBody(
  request: ClientRequest,
  body: HttpBody,
  { isOver, over }: Sending,
  host: string,
  { idleMs, slowMs, slowBytes }: RegistryLimits,
): Promise<void> {
  // Waiting is counted, not the time that our own disk takes.
  let waitedMs = 0;
  let bytes = 0;
  for await (const chunk of body.chunks()) {
    if (isOver()) return;
    bytes += chunk.length;
    const since = performance.now();
    if (!(await written(request, chunk, over, idleMs)))
      throw registryAway(host, `it took nothing for ${idleMs} ms`);
    waitedMs += performance.now() - since;
    if (waitedMs <= slowMs) continue;
    if (bytes < slowBytes) throw registryAway(host, `it took only ${bytes} bytes in a long time`);
    waitedMs = 0;
    bytes = 0;
  }
  if (!isOver()) request.end();
}

/** Once it returns nobody needs the chunk any more. @returns false: nothing happened in that time. */
async function written(
  request: ClientRequest,
  chunk: Buffer,
  over: Promise<void>,
  idleMs: number,
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const late = setTimeout(() => resolve(false), idleMs);
  request.write(chunk, () => resolve(true));
  try {
    return await Promise.race([promise, over.then(() => true)]);
  } finally {
    clearTimeout(late);
  }
}

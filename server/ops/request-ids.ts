/**
 * Makes a repeated request harmless: a client that lost the answer asks again with the same id and gets the
 * first answer instead of a second effect. In memory, bounded in time and number.
 */
import { cannot, invalidArgument, MydockerError, quoteId } from '../model/error.ts';

/** How long an answer is kept. */
const KEPT_MS = 600_000;
/** Most answers kept; the oldest go first. */
const MAX_KEPT = 4096;
/** Longest id that a client may choose. */
const MAX_ID_BYTES = 64;

/** A request that may come again. */
export interface RepeatableRequest {
  /** Method; ids of different methods have nothing to do with each other. */
  readonly rpc: string;
  /** Chosen by the client. */
  readonly requestId: string;
  /** Equal for equal requests. */
  readonly fingerprint: string;
}

interface Entry {
  readonly fingerprint: string;
  readonly answer: Promise<unknown>;
  /** ms since epoch; 0 while the work goes on. */
  answeredAt: number;
}

/** The table of one server. */
export class RequestIds {
  /** In order of arrival. */
  readonly #entries = new Map<string, Entry>();
  readonly #now: () => number;

  /** @param now - ms; a test's clock. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /**
   * Does the work, or answers as the first request with this id was answered. A failure is not kept: what
   * failed had no effect, and may be tried again.
   * @throws MydockerError `already-exists` (REQUEST_ID_REUSED) for an id that came with another request,
   * `invalid-argument` for one that is too long; and whatever the work throws.
   */
  async run<T>(request: RepeatableRequest, work: () => Promise<T>): Promise<T> {
    const key = keyOf(request);
    for (;;) {
      this.#forgetOld();
      const entry = this.#entries.get(key);
      if (entry === undefined) return await this.#first(key, request, work);
      if (entry.fingerprint !== request.fingerprint) throw reused(request);
      try {
        return (await entry.answer) as T;
      } catch (error) {
        // The first client left, and its work was ended with it; this one is still there.
        if (!(error instanceof MydockerError) || error.code !== 'cancelled') throw error;
      }
    }
  }

  async #first<T>(key: string, { fingerprint }: RepeatableRequest, work: () => Promise<T>): Promise<T> {
    const answer = work();
    const entry: Entry = { fingerprint, answer, answeredAt: 0 };
    this.#entries.set(key, entry);
    try {
      const value = await answer;
      entry.answeredAt = this.#now();
      return value;
    } catch (error) {
      // Before anybody who waits for it looks again.
      this.#entries.delete(key);
      throw error;
    }
  }

  #forgetOld(): void {
    const old = this.#now() - KEPT_MS;
    for (const [key, { answeredAt }] of this.#entries) {
      const tooMany = this.#entries.size >= MAX_KEPT;
      // Work that goes on is bounded by the number of calls, and its answer is awaited.
      if (answeredAt === 0) continue;
      if (answeredAt > old && !tooMany) return;
      this.#entries.delete(key);
    }
  }
}

function keyOf({ rpc, requestId }: RepeatableRequest): string {
  if (Buffer.byteLength(requestId) > MAX_ID_BYTES)
    throw invalidArgument(
      `invalid request id ${quoteId(requestId)}: it is longer than ${MAX_ID_BYTES} bytes`,
      {
        reason: 'REQUEST_ID_INVALID',
        hint: 'use a UUID',
      },
    );
  return `${rpc} ${requestId}`;
}

function reused({ requestId }: RepeatableRequest): MydockerError {
  return cannot('already-exists', 'repeat', 'request', requestId, 'the id came with another request before', {
    reason: 'REQUEST_ID_REUSED',
    hint: 'use a new id for each request, the same one only to repeat it',
  });
}

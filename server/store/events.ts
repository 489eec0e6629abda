/**
 * The durable event log: written with the change that an event tells of, read from any sequence number on,
 * first from the database and then live, without a gap and in order. Each reader has a bounded queue.
 */
import { type MydockerError, resourceExhausted } from '../model/error.ts';
import type { EventInput, EventRecord } from '../model/event.ts';
import { decodeValue } from './codec.ts';
import { eventKey, eventSeq } from './schema.ts';
import type { EventLog } from './store.ts';
import type { Writer } from './writer.ts';

/** Events kept when nothing else is asked for. */
export const DEFAULT_MAX_EVENTS = 10_000;
/** Events a live reader may be behind. */
const MAX_QUEUED = 4_096;
const PAGE = 500;
/** Trimmed when it is this much (of the maximum) too long, this many at once. */
const TRIM_SLACK = 0.1;
const TRIM_AT_ONCE = 2_000;

/** One reader's queue. */
interface Subscriber {
  readonly queue: EventRecord[];
  overflowed: boolean;
  /** Wakes the reader; harmless when it does not sleep. */
  wake: () => void;
}

type SinceOptions = Parameters<EventLog['since']>[1];

export class Events implements EventLog {
  #writer: Writer | undefined;
  readonly #maxEvents: number;
  readonly #subscribers = new Set<Subscriber>();
  #lastSeq: bigint;
  #firstSeq: bigint;
  #trimming = false;
  #closed = false;

  /** @param lastSeq - newest number ever given out; @param firstSeq - oldest one still there. */
  constructor(lastSeq: bigint, firstSeq: bigint, maxEvents: number) {
    this.#lastSeq = lastSeq;
    this.#firstSeq = firstSeq;
    this.#maxEvents = maxEvents;
  }

  get lastSeq(): bigint {
    return this.#lastSeq;
  }

  get firstSeq(): bigint {
    return this.#firstSeq;
  }

  /** Writer and log need each other; the log comes first. */
  attach(writer: Writer): void {
    this.#writer = writer;
  }

  async append(event: EventInput, options: { readonly sync?: boolean } = {}): Promise<EventRecord> {
    const mutation = { ops: [], inverse: () => [], deltas: [], event, apply: () => undefined };
    const written = await this.#open().submit({ ...mutation, sync: options.sync ?? true });
    return written as EventRecord;
  }

  /** The writer tells of a written event. */
  publish(event: EventRecord): void {
    this.#lastSeq = event.seq;
    for (const subscriber of this.#subscribers) {
      if (subscriber.queue.length < MAX_QUEUED) subscriber.queue.push(event);
      else subscriber.overflowed = true;
      subscriber.wake();
    }
    this.#trimIfLong();
  }

  async *since(seq: bigint, options: SinceOptions = {}): AsyncGenerator<EventRecord, undefined, undefined> {
    const { signal, follow = true } = options;
    if (signal?.aborted) return;
    const subscriber: Subscriber = { queue: [], overflowed: false, wake: () => undefined };
    const wake = (): void => subscriber.wake();
    // What is written from here on comes through the queue, what is there already from the database.
    const historyEnd = this.#lastSeq;
    if (follow) this.#subscribers.add(subscriber);
    signal?.addEventListener('abort', wake);
    try {
      for await (const event of this.#history(seq, historyEnd)) {
        yield event;
        if (signal?.aborted) return;
      }
      while (follow) {
        const event = subscriber.queue.shift();
        if (signal?.aborted) return;
        if (event !== undefined) {
          if (event.seq > seq) yield event;
        } else if (subscriber.overflowed) throw tooSlow();
        else if (this.#closed) return;
        else await new Promise<void>((resolve) => (subscriber.wake = resolve));
      }
    } finally {
      this.#subscribers.delete(subscriber);
      signal?.removeEventListener('abort', wake);
    }
  }

  /** Ends all live readers once they have read what is queued. */
  close(): void {
    this.#closed = true;
    for (const subscriber of this.#subscribers) subscriber.wake();
  }

  async *#history(after: bigint, end: bigint): AsyncGenerator<EventRecord, undefined, undefined> {
    for (let from = after; from < end; ) {
      const range = { gt: eventKey(from), lte: eventKey(end), limit: PAGE };
      const page = await this.#open().read((db) => db.iterator(range).all());
      for (const [key, value] of page) {
        from = eventSeq(key);
        const event = decodeEvent(key, value);
        if (event !== undefined) yield event;
      }
      if (page.length < PAGE) return;
    }
  }

  #trimIfLong(): void {
    const keep = BigInt(this.#maxEvents);
    const slack = BigInt(Math.ceil(this.#maxEvents * TRIM_SLACK));
    if (this.#trimming || this.#lastSeq - this.#firstSeq < keep + slack) return;
    this.#trimming = true;
    const wanted = this.#lastSeq - keep + 1n;
    const limit = this.#firstSeq + BigInt(TRIM_AT_ONCE);
    const first = wanted < limit ? wanted : limit;
    const ops: { key: string }[] = [];
    for (let seq = this.#firstSeq; seq < first; seq += 1n) ops.push({ key: eventKey(seq) });
    // Not synced: an event that is there once more after a power failure is trimmed again.
    const mutation = { ops, inverse: () => [], deltas: [], sync: false };
    const apply = (): void => {
      this.#firstSeq = first;
    };
    this.#open()
      .submit({ ...mutation, apply })
      // The next event tries again; the writer has logged why.
      .catch(() => undefined)
      .finally(() => {
        this.#trimming = false;
      });
  }

  #open(): Writer {
    if (this.#writer === undefined) throw new Error('the event log has no writer yet');
    return this.#writer;
  }
}

/** Undefined for one that is damaged: a hole in history is better than no history after it. */
function decodeEvent(key: string, value: string): EventRecord | undefined {
  try {
    return decodeValue(key, value) as EventRecord;
  } catch {
    return undefined;
  }
}

function tooSlow(): MydockerError {
  return resourceExhausted(`cannot follow events: the reader is more than ${MAX_QUEUED} events behind`, {
    reason: 'EVENT_READER_TOO_SLOW',
    hint: 'read again from the last sequence number received',
  });
}

/** Messages in both directions with backpressure, and lists cut into pages. */
import type { Readable, Writable } from 'node:stream';

/** Items of a page; the contract's number. */
const PAGE_ITEMS = 100;
/** A client that keeps the usual limit of 4 MiB must be able to read a page of large items. */
const PAGE_BYTES = 1 << 20;
/** What may wait for a client beyond what is on its way. */
const QUEUED_BYTES = 512 << 10;

/**
 * Sends messages one by one, each waiting while the client's window is full and enough is queued behind it.
 * @returns throws the signal's reason when the call ends meanwhile.
 */
export function sender(call: Writable, signal: AbortSignal): (message: Uint8Array) => Promise<void> {
  let queuedBytes = 0;
  let wake = (): void => undefined;
  const isFull = (): boolean => call.writableNeedDrain || queuedBytes > QUEUED_BYTES;
  return async (message) => {
    signal.throwIfAborted();
    queuedBytes += message.length;
    call.write(message, () => {
      queuedBytes -= message.length;
      wake();
    });
    if (!isFull()) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    wake = () => {
      if (!isFull()) resolve();
    };
    // A call that was reset takes nothing any more and says so by its end alone.
    const over = (): void => resolve();
    call.on('drain', wake);
    call.once('close', over);
    signal.addEventListener('abort', over);
    try {
      await promise;
    } finally {
      call.removeListener('drain', wake);
      call.removeListener('close', over);
      signal.removeEventListener('abort', over);
    }
    signal.throwIfAborted();
  };
}

/**
 * The client's messages one by one, until it has sent its last one.
 * @throws the signal's reason when the call ends before.
 */
export async function* received<T>(call: Readable, signal: AbortSignal): AsyncGenerator<T, undefined> {
  try {
    // The stream carries the answer too: leaving this loop early must not destroy it.
    for await (const message of call.iterator({ destroyOnReturn: false })) yield message as T;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
  signal.throwIfAborted();
}

/**
 * Cuts a list into pages.
 * @param sizeOf - rough size of an item in bytes.
 */
export function* pages<T>(items: Iterable<T>, sizeOf: (item: T) => number): Generator<readonly T[]> {
  let page: T[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = sizeOf(item);
    if (page.length >= PAGE_ITEMS || (page.length > 0 && bytes + size > PAGE_BYTES)) {
      yield page;
      page = [];
      bytes = 0;
    }
    page.push(item);
    bytes += size;
  }
  if (page.length > 0) yield page;
}

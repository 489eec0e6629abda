/** Messages in both directions with backpressure, and lists cut into pages. */
import type { Readable, Writable } from 'node:stream';

/** Items of a page; the contract's number. */
const PAGE_ITEMS = 100;
/** A client that keeps the usual limit of 4 MiB must be able to read a page of large items. */
const PAGE_BYTES = 1 << 20;

/**
 * Sends a message and waits while the client's window is full.
 * @throws the signal's reason when the call ends meanwhile.
 */
export async function send(call: Writable, message: unknown, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (call.write(message)) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = (): void => resolve();
  call.once('drain', wake);
  // A call that was reset never drains.
  call.once('close', wake);
  signal.addEventListener('abort', wake);
  try {
    await promise;
  } finally {
    call.removeListener('drain', wake);
    call.removeListener('close', wake);
    signal.removeEventListener('abort', wake);
  }
  signal.throwIfAborted();
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

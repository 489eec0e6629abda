/**
 * A stream of chunks read by size: the tar reader asks for blocks, what arrives is cut anywhere.
 * Counts and hashes everything that passes, so that the digest of an archive covers its padding too.
 */
import type { Hash } from 'node:crypto';
import { archiveError, archiveLimit } from './archive-error.ts';

/** Asked for at a time where an archive is read. */
export const ARCHIVE_READ_BYTES: number = 256 * 1024;

/** Reads a stream in the sizes that the reader wants. */
export class ByteSource {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #hash: Hash | undefined;
  readonly #maxBytes: number;
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;
  #received = 0;

  /**
   * @param hash - is fed every byte that the stream delivers.
   * @param maxBytes - more than this is refused, `resource-exhausted`.
   */
  constructor(chunks: AsyncIterable<Buffer>, options: { readonly hash?: Hash; readonly maxBytes: number }) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#hash = options.hash;
    this.#maxBytes = options.maxBytes;
  }

  /** Bytes that the stream has delivered so far. */
  get received(): number {
    return this.#received;
  }

  /**
   * Exactly `size` bytes, a view that is of the chunk it came in.
   * @returns undefined at the end of the stream, before the first of them.
   * @throws MydockerError `invalid-argument` when the stream ends in the middle.
   */
  async read(size: number): Promise<Buffer | undefined> {
    if (this.#left === 0 && !(await this.#fill())) return undefined;
    if (this.#left >= size) return this.#take(size);
    const parts: Buffer[] = [];
    for (let missing = size; missing > 0; ) {
      if (this.#left === 0 && !(await this.#fill())) throw truncated();
      const part = this.#take(Math.min(missing, this.#left));
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts);
  }

  /** As {@link read}, where the end of the stream is an error as well. */
  async readExactly(size: number): Promise<Buffer> {
    const bytes = size === 0 ? Buffer.alloc(0) : await this.read(size);
    if (bytes === undefined) throw truncated();
    return bytes;
  }

  /** What is at hand, at least one byte and at most `size`; a view that is of the chunk it came in. */
  async readSome(size: number): Promise<Buffer> {
    if (this.#left === 0 && !(await this.#fill())) throw truncated();
    return this.#take(Math.min(size, this.#left));
  }

  /** Puts bytes back in front, to be read again; they count and are hashed once. */
  unread(bytes: Buffer): void {
    this.#chunk = Buffer.concat([bytes, this.#chunk.subarray(this.#at)]);
    this.#at = 0;
  }

  /** All that is left, in chunks of at most `size` bytes. */
  async *remaining(size: number): AsyncGenerator<Buffer, void, undefined> {
    while (this.#left > 0 || (await this.#fill())) yield this.#take(Math.min(size, this.#left));
  }

  /** Whether nothing more comes. */
  async atEnd(): Promise<boolean> {
    return this.#left === 0 && !(await this.#fill());
  }

  /** Throws bytes away. */
  async skip(size: number): Promise<void> {
    for (let left = size; left > 0; ) left -= (await this.readSome(left)).length;
  }

  /** Reads to the end of the stream, for the hash's sake. */
  async drain(): Promise<void> {
    this.#at = this.#chunk.length;
    while (await this.#fill()) this.#at = this.#chunk.length;
  }

  get #left(): number {
    return this.#chunk.length - this.#at;
  }

  #take(size: number): Buffer {
    const bytes = this.#chunk.subarray(this.#at, this.#at + size);
    this.#at += size;
    return bytes;
  }

  async #fill(): Promise<boolean> {
    for (;;) {
      const next = await this.#chunks.next();
      if (next.done === true) return false;
      if (next.value.length === 0) continue;
      this.#chunk = next.value;
      this.#at = 0;
      this.#received += next.value.length;
      this.#hash?.update(next.value);
      if (this.#received > this.#maxBytes) {
        throw archiveLimit(undefined, `it is larger than ${this.#maxBytes} bytes unpacked`);
      }
      return true;
    }
  }
}

function truncated(): Error {
  return archiveError(undefined, 'it ends in the middle of an entry', {
    reason: 'ARCHIVE_TRUNCATED',
    hint: 'the file or the transfer was cut off; get it again',
  });
}

/** One stream of an HTTP/2 connection: bytes both ways, bounded both ways, and headers before and behind them. */
import type { HeaderList } from './hpack.ts';

/** Bytes that may wait to be sent before the writer has to wait. */
const SEND_BUFFER_BYTES = 256 << 10;

/** What a stream needs of its connection. */
export interface StreamHost {
  /** Sends what waits, as far as the windows allow. */
  flush(): void;
  /** Tells the other side that the stream ends here. */
  sendReset(stream: Http2Stream): void;
  /** Bytes were taken by the reader: there is room for as many more. */
  consumed(stream: Http2Stream, bytes: number): void;
}

/** A piece to be sent. */
export interface Outgoing {
  readonly data: Buffer;
  readonly end: boolean;
}

/** A stream, made by {@link Http2Session.request}. */
export class Http2Stream {
  readonly id: number;
  /** Headers of the response, and once it is over its trailers. */
  readonly headers: Map<string, string> = new Map();
  /** Nothing will come any more. */
  readonly over: Promise<void>;
  /** Code of the reset that ended it, by the other side; undefined otherwise. */
  resetCode: number | undefined;
  /** Bytes that the other side takes; kept by the connection. */
  sendWindow: number;
  /** Bytes taken by the reader and not yet told to the other side; kept by the connection. */
  unacknowledgedBytes = 0;
  readonly #host: StreamHost;
  #incoming: Buffer[] = [];
  #outgoing: Buffer[] = [];
  #outgoingBytes = 0;
  #ending = false;
  #endSent = false;
  #isOver = false;
  #finish: () => void = () => {};
  /** Wakes the reader, who waits for data. */
  #wakeReader: () => void = () => {};
  /** Wake the writers, who wait for room. */
  #wakeWriters: (() => void)[] = [];

  constructor(id: number, sendWindow: number, host: StreamHost) {
    this.id = id;
    this.sendWindow = sendWindow;
    this.#host = host;
    this.over = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** @returns when more may be sent; false where nothing will be read any more. */
  async write(data: Buffer): Promise<boolean> {
    if (this.#isOver || this.#ending) return false;
    this.#outgoing.push(data);
    this.#outgoingBytes += data.length;
    this.#host.flush();
    while (this.#outgoingBytes > SEND_BUFFER_BYTES && !this.#isOver) {
      await new Promise<void>((resolve) => this.#wakeWriters.push(resolve));
    }
    return !this.#isOver;
  }

  /** Ends this side, after what waits. */
  end(): void {
    if (this.#isOver || this.#ending) return;
    this.#ending = true;
    this.#host.flush();
  }

  /** Ends both sides at once. */
  cancel(): void {
    if (this.#isOver) return;
    this.#host.sendReset(this);
    this.close();
  }

  /** What comes, to be read once; ends with the stream, however it ends. */
  async *chunks(): AsyncGenerator<Buffer> {
    for (;;) {
      const chunk = this.#incoming.shift();
      if (chunk !== undefined) {
        // Told before it is handled: the reader holds one chunk beyond the window.
        this.#host.consumed(this, chunk.length);
        yield chunk;
      } else if (this.#isOver) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
      }
    }
  }

  /** The next piece to send. @param room - most bytes; 0 still lets an empty end through. */
  take(room: number): Outgoing | undefined {
    const [first] = this.#outgoing;
    if (first === undefined) {
      if (!this.#ending || this.#endSent) return undefined;
      this.#endSent = true;
      return { data: Buffer.alloc(0), end: true };
    }
    if (room <= 0) return undefined;
    const data = first.subarray(0, room);
    if (data.length === first.length) this.#outgoing.shift();
    else this.#outgoing[0] = first.subarray(room);
    this.#outgoingBytes -= data.length;
    if (this.#outgoingBytes <= SEND_BUFFER_BYTES) this.#wakeAllWriters();
    this.#endSent = this.#ending && this.#outgoing.length === 0;
    return { data, end: this.#endSent };
  }

  receiveHeaders(headers: HeaderList): void {
    for (const [name, value] of headers) this.headers.set(name, value);
  }

  receiveData(data: Buffer): void {
    if (data.length > 0) this.#incoming.push(data);
    this.#wakeReader();
  }

  /** The other side has said all: what was not sent by now nobody reads. */
  receiveEnd(): void {
    if (!this.#endSent) this.#host.sendReset(this);
    this.close();
  }

  /** Ends it without telling the other side. Received data can still be read. */
  close(resetCode?: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.resetCode = resetCode;
    this.#outgoing = [];
    this.#outgoingBytes = 0;
    this.#wakeAllWriters();
    this.#wakeReader();
    this.#finish();
  }

  #wakeAllWriters(): void {
    const waiting = this.#wakeWriters;
    this.#wakeWriters = [];
    for (const wake of waiting) wake();
  }
}

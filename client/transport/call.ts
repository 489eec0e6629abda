/** One call: an HTTP/2 stream seen as messages both ways and a status at the end. All four shapes are made of it. */
import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { encodeFrame, FrameReader } from './frames.ts';
import type { CallOptions, Method } from './method.ts';
import { Code, RpcError } from './rpc-error.ts';

/** Error codes of RST_STREAM. Source: RFC 9113, section 7. */
const RST_CANCEL = 8;
const FROM_RST: ReadonlyMap<number, number> = new Map([
  [7, Code.UNAVAILABLE], // REFUSED_STREAM
  [RST_CANCEL, Code.CANCELLED],
  [11, Code.RESOURCE_EXHAUSTED], // ENHANCE_YOUR_CALM
]);

/** A call that is open. */
export class Call<Request, Response> {
  readonly #method: Method<Request, Response>;
  readonly #stream: ClientHttp2Stream;
  readonly #lost: () => RpcError | undefined;
  /** Headers that carry the status: the trailers, or the only headers. */
  #statusHeaders: IncomingHttpHeaders | undefined;
  #httpStatus = 0;
  /** Why the call was ended from this side. */
  #givenUp: RpcError | undefined;
  readonly #closed: Promise<void>;

  /**
   * @param stream - just requested; the call owns it.
   * @param lost - why the connection is gone, once it is.
   */
  constructor(
    method: Method<Request, Response>,
    stream: ClientHttp2Stream,
    lost: () => RpcError | undefined,
    options: CallOptions,
  ) {
    this.#method = method;
    this.#stream = stream;
    this.#lost = lost;
    stream.on('response', (headers) => {
      this.#httpStatus = Number(headers[':status'] ?? 0);
      if (headers['grpc-status'] !== undefined) this.#statusHeaders = headers;
    });
    stream.on('trailers', (headers) => {
      this.#statusHeaders = headers;
    });
    // Every error also closes the stream, and is told there.
    stream.on('error', () => {});
    this.#closed = new Promise((resolve) => stream.once('close', resolve));
    this.#bound(options);
  }

  /**
   * Sends a message.
   * @returns when more may be sent: false where the call is over and nothing more will be read.
   */
  async send(request: Request): Promise<boolean> {
    const stream = this.#stream;
    if (stream.destroyed || stream.writableEnded) return false;
    if (stream.write(encodeFrame(this.#method.request.encode(request).finish()))) return true;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        stream.off('drain', done);
        stream.off('close', done);
        resolve();
      };
      stream.on('drain', done);
      stream.on('close', done);
    });
    return !stream.destroyed;
  }

  /** Sends the last message and ends this side. */
  endWith(request: Request): void {
    if (!this.#stream.destroyed) this.#stream.end(encodeFrame(this.#method.request.encode(request).finish()));
  }

  /** Ends this side: no more messages will be sent. */
  end(): void {
    if (!this.#stream.destroyed) this.#stream.end();
  }

  /** Ends the call at once; the server is told. */
  cancel(why: RpcError = new RpcError(Code.CANCELLED, 'the call was cancelled')): void {
    this.#givenUp ??= why;
    this.#stream.close(RST_CANCEL);
  }

  /**
   * The messages that come, to be read once. Nothing is read ahead of the reader beyond the flow control window.
   * Leaving early cancels the call.
   * @throws RpcError when the call does not end with OK.
   */
  async *responses(): AsyncGenerator<Response> {
    const frames = new FrameReader();
    let finished = false;
    try {
      for await (const chunk of this.#chunks()) {
        for (const message of frames.read(chunk)) yield this.#method.response.decode(message);
      }
      finished = true;
    } finally {
      if (!finished) this.cancel();
    }
    // The server has said all it will; what was not sent by now nobody reads.
    if (!this.#stream.writableFinished) this.#stream.close(RST_CANCEL);
    await this.#closed;
    const error = await this.#failure();
    if (error !== undefined) throw error;
    if (frames.pendingBytes > 0) throw new RpcError(Code.INTERNAL, 'the answer ends within a message');
  }

  /** The bytes that come; ends also where the stream breaks, the status says why. */
  async *#chunks(): AsyncGenerator<Buffer> {
    const bytes = this.#stream.iterator({ destroyOnReturn: false });
    for (;;) {
      const next = await bytes.next().catch(() => undefined);
      if (next === undefined || next.done) return;
      yield next.value as Buffer;
    }
  }

  #bound({ deadlineMs, signal }: CallOptions): void {
    const stream = this.#stream;
    if (deadlineMs !== undefined) {
      const late = (): void =>
        this.cancel(new RpcError(Code.DEADLINE_EXCEEDED, `no answer in ${deadlineMs} ms`));
      const timer = setTimeout(late, deadlineMs);
      stream.once('close', () => clearTimeout(timer));
    }
    if (signal !== undefined) {
      const abort = (): void => this.cancel();
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
      stream.once('close', () => signal.removeEventListener('abort', abort));
    }
  }

  /** Why the call failed; undefined for OK. To be asked once the stream is closed. */
  async #failure(): Promise<RpcError | undefined> {
    const headers = this.#statusHeaders;
    if (headers !== undefined) return await statusError(headers);
    if (this.#givenUp !== undefined) return this.#givenUp;
    const lost = this.#lost();
    if (lost !== undefined) return lost;
    if (this.#httpStatus !== 0 && this.#httpStatus !== 200) {
      return new RpcError(Code.UNAVAILABLE, `the server answered with HTTP status ${this.#httpStatus}`);
    }
    const code = this.#stream.rstCode ?? 0;
    return new RpcError(
      FROM_RST.get(code) ?? Code.INTERNAL,
      `the server broke off the call (HTTP/2 error ${code})`,
    );
  }
}

async function statusError(headers: IncomingHttpHeaders): Promise<RpcError | undefined> {
  const code = Number(headers['grpc-status']);
  if (code === Code.OK) return undefined;
  const message = percentDecode(String(headers['grpc-message'] ?? `the call failed with code ${code}`));
  const details = headers['grpc-status-details-bin'];
  if (details === undefined) return new RpcError(code, message);
  const { decodeErrorDetails } = await import('./error-details.ts');
  return new RpcError(code, message, decodeErrorDetails(String(details)));
}

function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

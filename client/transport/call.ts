/** One call: an HTTP/2 stream seen as messages both ways and a status at the end. All four shapes are made of it. */
import { ErrorCode } from './http2/frame.ts';
import type { Http2Stream } from './http2/stream.ts';
import { encodeMessage, MessageReader } from './message-frames.ts';
import type { CallOptions, Method } from './method.ts';
import { Code, RpcError } from './rpc-error.ts';

const FROM_RESET: ReadonlyMap<number, number> = new Map([
  [ErrorCode.REFUSED_STREAM, Code.UNAVAILABLE],
  [ErrorCode.CANCEL, Code.CANCELLED],
  [ErrorCode.ENHANCE_YOUR_CALM, Code.RESOURCE_EXHAUSTED],
]);

/** A call that is open. */
export class Call<Request, Response> {
  readonly #method: Method<Request, Response>;
  readonly #stream: Http2Stream;
  readonly #lost: () => RpcError | undefined;
  /** Why the call was ended from this side. */
  #givenUp: RpcError | undefined;

  /**
   * @param stream - just requested; the call owns it.
   * @param lost - why the connection is gone, once it is.
   */
  constructor(
    method: Method<Request, Response>,
    stream: Http2Stream,
    lost: () => RpcError | undefined,
    options: CallOptions,
  ) {
    this.#method = method;
    this.#stream = stream;
    this.#lost = lost;
    this.#bound(options);
  }

  /**
   * Sends a message.
   * @returns when more may be sent: false where the call is over and nothing more will be read.
   */
  async send(request: Request): Promise<boolean> {
    return await this.#stream.write(encodeMessage(this.#method.request.encode(request).finish()));
  }

  /** Ends this side: no more messages will be sent. */
  end(): void {
    this.#stream.end();
  }

  /** Ends the call at once; the server is told. */
  cancel(why: RpcError = new RpcError(Code.CANCELLED, 'the call was cancelled')): void {
    if (this.#stream.isOver) return;
    this.#givenUp ??= why;
    this.#stream.cancel();
  }

  /**
   * The messages that come, to be read once. Nothing is read ahead of the reader beyond the flow control window.
   * Leaving early cancels the call.
   * @throws RpcError when the call does not end with OK.
   */
  async *responses(): AsyncGenerator<Response> {
    const reader = new MessageReader();
    try {
      for await (const chunk of this.#stream.chunks()) {
        for (const message of reader.read(chunk)) yield this.#method.response.decode(message);
      }
    } finally {
      this.cancel();
    }
    const error = await this.#failure();
    if (error !== undefined) throw error;
    if (reader.pendingBytes > 0) throw new RpcError(Code.INTERNAL, 'the answer ends within a message');
  }

  #bound({ deadlineMs, signal }: CallOptions): void {
    const { over } = this.#stream;
    if (deadlineMs !== undefined) {
      const late = (): void =>
        this.cancel(new RpcError(Code.DEADLINE_EXCEEDED, `no answer in ${deadlineMs} ms`));
      const timer = setTimeout(late, deadlineMs);
      void over.then(() => clearTimeout(timer));
    }
    if (signal !== undefined) {
      const abort = (): void => this.cancel();
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
      void over.then(() => signal.removeEventListener('abort', abort));
    }
  }

  /** Why the call failed; undefined for OK. To be asked once the stream is over. */
  async #failure(): Promise<RpcError | undefined> {
    const { headers, resetCode } = this.#stream;
    if (headers.has('grpc-status')) return await statusError(headers);
    const known = this.#givenUp ?? this.#lost();
    if (known !== undefined) return known;
    const status = headers.get(':status') ?? '200';
    if (status !== '200') {
      return new RpcError(Code.UNAVAILABLE, `the server answered with HTTP status ${status}`);
    }
    const code = FROM_RESET.get(resetCode ?? -1) ?? Code.INTERNAL;
    return new RpcError(code, `the server broke off the call (HTTP/2 error ${resetCode ?? 'none'})`);
  }
}

async function statusError(headers: ReadonlyMap<string, string>): Promise<RpcError | undefined> {
  const code = Number(headers.get('grpc-status'));
  if (code === Code.OK) return undefined;
  const message = percentDecode(headers.get('grpc-message') ?? `the call failed with code ${code}`);
  const details = headers.get('grpc-status-details-bin');
  if (details === undefined) return new RpcError(code, message);
  const { decodeErrorDetails } = await import('./error-details.ts');
  return new RpcError(code, message, decodeErrorDetails(details));
}

function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

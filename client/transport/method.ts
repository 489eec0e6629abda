/**
 * A method of the contract as the transport needs it: path and codecs. Naming it here and not through the
 * generated service definitions lets the bundle leave out the codecs of every other method.
 */

/** Writes and reads one message; what the generated codecs are. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** One rpc. Its shape (unary, streams) is chosen by the function it is given to. */
export interface Method<Request, Response> {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
}

/** What bounds a call. */
export interface CallOptions {
  /** Time after which the call fails with DEADLINE_EXCEEDED, in ms. Default: none. */
  readonly deadlineMs?: number;
  /** Cancels the call; the server learns of it. */
  readonly signal?: AbortSignal;
}

/** How a call fails: gRPC's code and sentence, and what the server adds in its error details. */

/** gRPC's status codes that the client decides on. Source: grpc/doc/statuscodes.md. */
export const Code = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** What may be known beyond code and sentence. */
export interface RpcErrorDetails {
  /** Stable name of the cause: `CONTAINER_NOT_FOUND`. */
  readonly reason?: string;
  /** What to do about it. */
  readonly hint?: string;
  /** Ids and values concerned. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** A call that did not end with OK. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: number;
  readonly reason: string;
  readonly hint: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;

  constructor(code: number, message: string, details: RpcErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.reason = details.reason ?? '';
    this.hint = details.hint;
    this.metadata = details.metadata ?? {};
  }

  /** Exit status that the server asks for (126 not executable, 127 not found), where it does. */
  get exitStatus(): number | undefined {
    const status = Number(this.metadata['exit_status'] ?? Number.NaN);
    return Number.isInteger(status) && status > 0 && status < 256 ? status : undefined;
  }
}

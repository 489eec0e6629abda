/**
 * The one error class of the project and its closed list of codes, so that every failure that a user can
 * meet has a code, a sentence in one grammar, a stable reason and, where there is one, a cure.
 */

/** What kind of failure it is. Mapped to a gRPC status in one place, `grpc/status.ts`. */
export type ErrorCode =
  | 'not-found'
  | 'already-exists'
  | 'invalid-argument'
  | 'out-of-range'
  | 'failed-precondition'
  | 'permission-denied'
  | 'resource-exhausted'
  | 'unavailable'
  | 'aborted'
  | 'cancelled'
  | 'deadline-exceeded'
  | 'unimplemented'
  | 'data-loss'
  | 'internal';

/** All that an error may carry beside code and message. */
export interface ErrorDetails {
  /** UPPER_SNAKE, stable, for programs (ErrorInfo.reason); default: the code in upper snake case. */
  readonly reason?: string;
  /** What the user can do about it: one sentence, lower case, no full stop. */
  readonly hint?: string;
  /** Facts for programs (ErrorInfo.metadata); never secrets, never host paths the user did not name. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** What the CLI should exit with: 125 ours, 126 not executable, 127 not found. */
  readonly exitStatus?: 125 | 126 | 127;
  /** For the log only; never crosses the wire. */
  readonly cause?: unknown;
}

/** The error that every layer above `native/` throws. */
export class MydockerError extends Error {
  override readonly name = 'MydockerError';
  readonly code: ErrorCode;
  readonly reason: string;
  readonly hint: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly exitStatus: 125 | 126 | 127 | undefined;

  /**
   * @param code - kind of failure.
   * @param message - `cannot <verb> <noun> <id>: <cause>`, lower case, no full stop; see {@link cannot}.
   */
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.reason = details.reason ?? code.toUpperCase().replaceAll('-', '_');
    this.hint = details.hint;
    this.metadata = details.metadata ?? {};
    this.exitStatus = details.exitStatus;
  }
}

/**
 * An error in the house grammar.
 * @param why - the cause as words, without a full stop.
 * @returns an error whose message is `cannot VERB NOUN ID: WHY`; an empty id is left out.
 */
export function cannot(
  code: ErrorCode,
  verb: string,
  noun: string,
  id: string,
  why: string,
  details: ErrorDetails = {},
): MydockerError {
  const object = id === '' ? noun : `${noun} ${quoteId(id)}`;
  return new MydockerError(code, `cannot ${verb} ${object}: ${why}`, details);
}

/** `cannot find NOUN ID: no such NOUN`, code `not-found`. */
export function notFound(noun: string, id: string, hint?: string): MydockerError {
  return cannot('not-found', 'find', noun, id, `no such ${noun}`, {
    reason: `${upperSnake(noun)}_NOT_FOUND`,
    metadata: { [noun]: quoteId(id) },
    ...(hint === undefined ? {} : { hint }),
  });
}

/** `cannot create NOUN ID: WHY`, code `already-exists`. */
export function alreadyExists(
  noun: string,
  id: string,
  why = 'it exists already',
  details: ErrorDetails = {},
): MydockerError {
  return cannot('already-exists', 'create', noun, id, why, {
    reason: `${upperSnake(noun)}_ALREADY_EXISTS`,
    metadata: { [noun]: quoteId(id) },
    ...details,
  });
}

/** The request itself is wrong, whatever the state of the server. */
export function invalidArgument(message: string, details: ErrorDetails = {}): MydockerError {
  return new MydockerError('invalid-argument', message, details);
}

/** What is asked for lies outside of what is kept; no repetition will bring it back. */
export function outOfRange(message: string, details: ErrorDetails = {}): MydockerError {
  return new MydockerError('out-of-range', message, details);
}

/** The request is fine, the state of its object is not; it may succeed after a change of that state. */
export function failedPrecondition(message: string, details: ErrorDetails = {}): MydockerError {
  return new MydockerError('failed-precondition', message, details);
}

/** A limit, ours or the machine's, is reached. */
export function resourceExhausted(message: string, details: ErrorDetails = {}): MydockerError {
  return new MydockerError('resource-exhausted', message, details);
}

/** A part that is needed does not answer now; the same request may succeed later. */
export function unavailable(message: string, details: ErrorDetails = {}): MydockerError {
  return new MydockerError('unavailable', message, details);
}

/** Another change came first; read again and retry. */
export function aborted(message: string, details: ErrorDetails = {}): MydockerError {
  return new MydockerError('aborted', message, details);
}

/** The client gave up. */
export function cancelled(message: string, details: ErrorDetails = {}): MydockerError {
  return new MydockerError('cancelled', message, details);
}

/** A deadline passed before the work was done. */
export function deadlineExceeded(message: string, details: ErrorDetails = {}): MydockerError {
  return new MydockerError('deadline-exceeded', message, details);
}

/** Part of the contract, not built yet. */
export function unimplemented(message: string, details: ErrorDetails = {}): MydockerError {
  return new MydockerError('unimplemented', message, details);
}

/** Stored data is damaged or gone. */
export function dataLoss(message: string, details: ErrorDetails = {}): MydockerError {
  return new MydockerError('data-loss', message, details);
}

/** A fault of ours. */
export function internal(message: string, details: ErrorDetails = {}): MydockerError {
  return new MydockerError('internal', message, details);
}

/**
 * Any thrown value as a MydockerError: itself, what a SuppressedError was thrown over, `cancelled` for an AbortError, `deadline-exceeded` for a
 * TimeoutError, else `internal` with the value as cause and a message that tells nothing of it.
 */
export function toMydockerError(thrown: unknown): MydockerError {
  if (thrown instanceof MydockerError) return thrown;
  const name = thrown instanceof Error ? thrown.name : '';
  // `await using` puts a failed clean-up on top; the user asked about what came first.
  if (thrown instanceof SuppressedError) return toMydockerError(thrown.suppressed);
  if (name === 'AbortError') return cancelled('the request was cancelled', { cause: thrown });
  if (name === 'TimeoutError') return deadlineExceeded('the deadline has passed', { cause: thrown });
  return internal('internal error; see the log of the server', { cause: thrown });
}

/** Longest id that an error repeats; what a client sends may be a megabyte. */
const MAX_QUOTED_CHARS = 128;

/** An id as it may stand in a message: control characters escaped, long ones cut. */
export function quoteId(id: string): string {
  const cut = id.length > MAX_QUOTED_CHARS ? `${id.slice(0, MAX_QUOTED_CHARS)}…` : id;
  // JSON escapes C0; DEL, C1 and bidirectional controls could still repaint a terminal.
  return /^[\x21-\x7e…]+$/.test(cut)
    ? cut
    : JSON.stringify(cut).replace(
        /[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
        (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
      );
}

function upperSnake(noun: string): string {
  return noun.toUpperCase().replaceAll(/[^A-Z0-9]+/g, '_');
}

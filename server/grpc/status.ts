/**
 * The only map from errors to gRPC: a code, a sentence, google.rpc details. What is for the log (causes,
 * paths of ours) stays there, under the number of the call.
 */
import { Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { ErrorInfo, LocalizedMessage } from '../../proto/gen/google/rpc/error_details.ts';
import { Status } from '../../proto/gen/google/rpc/status.ts';
import { type ErrorCode, MydockerError, toMydockerError } from '../model/error.ts';

/** ErrorInfo.domain of every error. */
const ERROR_DOMAIN = 'mydocker';

/** Key of the trailer with the details. */
const DETAILS_KEY = 'grpc-status-details-bin';

/** Clients refuse trailers of more than 8 KiB or so; a sentence that is longer helps nobody. */
const MAX_MESSAGE_CHARS = 1024;
const MAX_VALUE_CHARS = 512;
const MAX_METADATA_ENTRIES = 16;

const CODES: Readonly<Record<ErrorCode, status>> = {
  'not-found': status.NOT_FOUND,
  'already-exists': status.ALREADY_EXISTS,
  'invalid-argument': status.INVALID_ARGUMENT,
  'out-of-range': status.OUT_OF_RANGE,
  'failed-precondition': status.FAILED_PRECONDITION,
  'permission-denied': status.PERMISSION_DENIED,
  'resource-exhausted': status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  aborted: status.ABORTED,
  cancelled: status.CANCELLED,
  'deadline-exceeded': status.DEADLINE_EXCEEDED,
  unimplemented: status.UNIMPLEMENTED,
  'data-loss': status.DATA_LOSS,
  internal: status.INTERNAL,
};

/** Reasons that the contract calls otherwise than the layer that finds them. */
const CONTRACT_REASONS: Readonly<Record<string, string>> = {
  STALE_REVISION: 'REV_MISMATCH',
  CONTAINER_NAME_IN_USE: 'NAME_IN_USE',
  AMBIGUOUS_ID: 'AMBIGUOUS_PREFIX',
};

const STATUS_REASONS: Readonly<Record<string, string>> = {
  running: 'CONTAINER_RUNNING',
  starting: 'CONTAINER_RUNNING',
  paused: 'CONTAINER_PAUSED',
};

/** Reason of a refusal that is about the state of a container. */
function reasonOf({ reason, metadata }: MydockerError): string {
  if (reason === 'CONTAINER_STATUS')
    return STATUS_REASONS[metadata['status'] ?? ''] ?? 'CONTAINER_NOT_RUNNING';
  return CONTRACT_REASONS[reason] ?? reason;
}

/** What the machine lacks, by errno: no fault of ours, and something that an operator can cure. */
const EXHAUSTED: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EMFILE: 'the server has too many open files',
  ENFILE: 'the machine has too many open files',
  ENOMEM: 'the machine is out of memory',
};

/** Errors of the system that have a code of their own; of all others nothing is told. */
function knownError(thrown: unknown): MydockerError {
  const errno = String((thrown as { readonly code?: unknown } | undefined)?.code);
  const why = thrown instanceof MydockerError ? undefined : EXHAUSTED[errno];
  if (why === undefined) return toMydockerError(thrown);
  return new MydockerError('resource-exhausted', `cannot go on: ${why}`, { reason: errno, cause: thrown });
}

/**
 * The status that a client gets for whatever was thrown.
 * @param thrown - not an error of ours: INTERNAL without a word of what it was.
 * @param callId - under which the log has it, told with faults.
 */
export function statusOf(thrown: unknown, callId?: string): StatusObject {
  const error = knownError(thrown);
  const code = CODES[error.code];
  const told = callId !== undefined && isFault({ code }) ? { call: callId } : {};
  const message = safeText(error.message, MAX_MESSAGE_CHARS);
  const details = [
    any('google.rpc.ErrorInfo', ErrorInfo.encode(errorInfo(error, told)).finish()),
    ...(error.hint === undefined ? [] : [any('google.rpc.LocalizedMessage', hint(error.hint))]),
  ];
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, Buffer.from(Status.encode({ code, message, details }).finish()));
  return { code, details: message, metadata };
}

/** Whether it is a fault of ours, to be logged as one. */
export function isFault({ code }: Pick<StatusObject, 'code'>): boolean {
  return code === status.INTERNAL || code === status.DATA_LOSS;
}

function errorInfo(error: MydockerError, told: Readonly<Record<string, string>>): ErrorInfo {
  const entries = Object.entries(error.metadata).slice(0, MAX_METADATA_ENTRIES);
  const safe = entries.map(([key, value]) => [key, safeText(value, MAX_VALUE_CHARS)]);
  const metadata: Record<string, string> = { ...Object.fromEntries(safe), ...told };
  if (error.exitStatus !== undefined) metadata['exit_status'] = String(error.exitStatus);
  return { reason: reasonOf(error), domain: ERROR_DOMAIN, metadata };
}

function hint(text: string): Uint8Array {
  return LocalizedMessage.encode({ locale: 'en', message: safeText(text, MAX_MESSAGE_CHARS) }).finish();
}

function any(type: string, value: Uint8Array): { typeUrl: string; value: Uint8Array } {
  return { typeUrl: `type.googleapis.com/${type}`, value };
}

/** Cut; and no half of a character pair is left, which cannot be written into a header. */
function safeText(text: string, maxChars: number): string {
  const cut = text.length > maxChars ? `${text.slice(0, maxChars - 1)}…` : text;
  return cut.toWellFormed();
}

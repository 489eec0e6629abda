/**
 * How a fault of an archive is told: every one names the entry, in bytes that are safe to print, and says
 * whether the archive, a limit or the disk is to blame.
 */
import { type ErrorCode, MydockerError, quoteId } from '../model/error.ts';

/** Thrown by the codec, which knows what is wrong but not with which entry. */
export class TarFormatError extends Error {
  override readonly name = 'TarFormatError';
}

/** A fault of one entry, or of the archive as a whole. */
export interface ArchiveFault {
  /** Default `invalid-argument`. */
  readonly code?: ErrorCode;
  /** Default `ARCHIVE_INVALID`. */
  readonly reason?: string;
  readonly hint?: string;
  readonly cause?: unknown;
}

/**
 * @param entry - raw name of the entry; undefined when it is the archive as a whole.
 * @param why - the cause as words, without a full stop.
 * @returns `cannot unpack entry NAME: WHY`, the name also as metadata `entry`, the cause alone as `why`.
 */
export function archiveError(
  entry: Uint8Array | undefined,
  why: string,
  fault: ArchiveFault = {},
): MydockerError {
  const name = entry === undefined ? undefined : quoteId(printableName(entry));
  const object = name === undefined ? 'archive' : `entry ${name}`;
  return new MydockerError(fault.code ?? 'invalid-argument', `cannot unpack ${object}: ${why}`, {
    reason: fault.reason ?? 'ARCHIVE_INVALID',
    metadata: { why, ...(name === undefined ? {} : { entry: name }) },
    ...(fault.hint === undefined ? {} : { hint: fault.hint }),
    ...(fault.cause === undefined ? {} : { cause: fault.cause }),
  });
}

/** A limit of ours is reached. */
export function archiveLimit(entry: Uint8Array | undefined, why: string): MydockerError {
  return archiveError(entry, why, { code: 'resource-exhausted', reason: 'ARCHIVE_LIMIT' });
}

/** A name's bytes as text: what is not UTF-8 becomes `\xNN`. */
export function printableName(name: Uint8Array): string {
  const bytes = Buffer.from(name.buffer, name.byteOffset, Math.min(name.byteLength, 512));
  const text = bytes.toString('utf8');
  if (!text.includes('\ufffd')) return text;
  return bytes.toString('latin1').replace(/[\x80-\xff]/g, (c) => `\\x${c.charCodeAt(0).toString(16)}`);
}

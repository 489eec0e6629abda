/**
 * What the server and the unpack worker say to each other: a verb with options on the command line, data on
 * standard input, a directory as a descriptor, and one line of JSON back.
 *
 *   fd 0  the archive to its end, a pipe or a file   (unpack, spool)
 *   fd 2  what Node says when it crashes    (kept for the log)
 *   fd 3  the directory to fill or to empty
 *   fd 4  the answer: {"ok": …} or {"error": {code, reason, message, hint, metadata}}, then the end
 */
import { type Digest, parseDigest } from '../model/digest.ts';
import { type ErrorCode, internal, MydockerError } from '../model/error.ts';
import type { ArchiveLimits } from './archive-limits.ts';
import type { CopySummary } from './copy-tree.ts';
import type { Compression } from './decompress.ts';
import type { FillSummary } from './fill-job.ts';
import type { LayerSummary } from './layer-writer.ts';
import type { SpoolResult } from './spool-archive.ts';

/** Descriptors of the worker. */
export const WORKER_FD = { archive: 0, stderr: 2, directory: 3, answer: 4 } as const;

/** What the build starts a worker with instead of a job: it loads its code, keeps it compiled, and ends. */
export const COMPILE_ONLY = 'compile';

/** Longest answer that is believed, in bytes. */
export const MAX_ANSWER_BYTES = 65_536;

/** What to do. */
export type WorkerJob =
  | {
      readonly verb: 'unpack';
      /** Folders of the layers under this one, topmost first; the worker sees them read-only. */
      readonly below: readonly string[];
      /** As ReadOptions of the tar reader. */
      readonly mayLackEnd: boolean;
      /** Waits for the disk. */
      readonly sync: boolean;
      /** Of the archive as it is, where the server knows it; else it is taken. */
      readonly digest?: Digest;
      readonly limits: ArchiveLimits;
    }
  | { readonly verb: 'spool'; readonly limits: ArchiveLimits }
  | {
      readonly verb: 'copy-tree';
      /** Folders of which the merged view is copied, the topmost first; the worker sees them read-only. */
      readonly sources: readonly string[];
    }
  | {
      readonly verb: 'fill-tree';
      /** As of copy-tree. */
      readonly sources: readonly string[];
    }
  | { readonly verb: 'remove-trees' };

/** Answer to `unpack`: the layer is complete and on the disk. */
export interface UnpackResult extends LayerSummary {
  readonly compression: Compression;
  /** sha256 of the uncompressed tar, `sha256:<64 hex>`. */
  readonly diffId: Digest;
  /** sha256 of the archive as sent, `sha256:<64 hex>`. */
  readonly digest: Digest;
  /** Size of the archive as sent, in bytes. */
  readonly archiveBytes: number;
}

/** Answer to `remove-trees`: the directory is empty but for what failed. */
export interface RemoveTreesResult {
  /** Names removed, of all depths. */
  readonly removed: number;
  /** Names in the directory that stay, the first hundred; something in them cannot be removed. */
  readonly failed: readonly string[];
}

/** An error as it travels. */
interface WireError {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly message: string;
  readonly hint?: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a job comes to. */
export type WorkerResult = UnpackResult | SpoolResult | CopySummary | FillSummary | RemoveTreesResult;

/** The line for a success. */
export function encodeResult(result: WorkerResult): string {
  return `${JSON.stringify({ ok: result })}\n`;
}

/** The line for a failure; what is no error of ours becomes `internal` with its message. */
export function encodeError(error: unknown): string {
  const known =
    error instanceof MydockerError
      ? error
      : new MydockerError('internal', String(error), { reason: 'WORKER_FAILED' });
  const { code, reason, message, hint, metadata } = known;
  const wire: WireError = { code, reason, message, metadata, ...(hint === undefined ? {} : { hint }) };
  return `${JSON.stringify({ error: wire })}\n`;
}

/** What a worker answered. */
export type Answer = { readonly ok: unknown } | { readonly error: MydockerError };

/**
 * Reads a worker's line without trusting it: an archive that took the worker over would speak here.
 * @returns undefined when the line is none of ours.
 */
export function decodeAnswer(text: string): Answer | undefined {
  let answer: { readonly ok?: unknown; readonly error?: Partial<WireError> };
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    return undefined;
  }
  if (answer.error === undefined) return answer.ok === undefined ? undefined : { ok: answer.ok };
  const { code, reason, message, hint, metadata } = answer.error;
  const known = ERROR_CODES.find((candidate) => candidate === code) ?? 'internal';
  const details = {
    reason: word(reason, /^[A-Z_]{1,64}$/) ?? 'WORKER_FAILED',
    metadata: Object.fromEntries(
      Object.entries(metadata ?? {}).flatMap(([key, value]) =>
        typeof value === 'string' ? [[key, value]] : [],
      ),
    ),
    ...(typeof hint === 'string' ? { hint } : {}),
  };
  return { error: new MydockerError(known, String(message), details) };
}

/** What unpacking can fail with. */
const ERROR_CODES: readonly ErrorCode[] = ['invalid-argument', 'resource-exhausted', 'internal'];

/**
 * @throws MydockerError `internal` when the answer is not what `unpack` answers.
 */
export function checkUnpackResult(ok: unknown): UnpackResult {
  const value = (ok ?? {}) as Record<keyof UnpackResult, unknown>;
  const number = (field: keyof UnpackResult): number => {
    const found = value[field];
    if (typeof found === 'number' && Number.isSafeInteger(found) && found >= 0) return found;
    throw nonsense(field);
  };
  const compression = (['none', 'gzip', 'zstd'] as const).find((c) => c === value.compression);
  if (compression === undefined) throw nonsense('compression');
  return {
    compression,
    diffId: parseDigest(String(value.diffId)),
    digest: parseDigest(String(value.digest)),
    entries: number('entries'),
    unpackedBytes: number('unpackedBytes'),
    droppedXattrs: number('droppedXattrs'),
    droppedEntries: number('droppedEntries'),
    archiveBytes: number('archiveBytes'),
  };
}

/**
 * @throws MydockerError `internal` when the answer is not what `remove-trees` answers.
 */
export function checkRemoveTreesResult(ok: unknown): RemoveTreesResult {
  const { removed, failed } = (ok ?? {}) as Record<keyof RemoveTreesResult, unknown>;
  if (typeof removed !== 'number' || !Array.isArray(failed)) throw nonsense('list of names');
  return { removed, failed: failed.map(String) };
}

function nonsense(field: string): MydockerError {
  return internal(`cannot unpack archive: the unpacker's answer has no ${field}`, {
    reason: 'WORKER_FAILED',
  });
}

function word(value: unknown, grammar: RegExp): string | undefined {
  return typeof value === 'string' && grammar.test(value) ? value : undefined;
}

/**
 * One blob on its way into a file: taken up again where the connection broke, also where an earlier server
 * left off, each byte counted and hashed. Others read the file while it grows.
 */
import type { Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ContentDigest, hashFor, hashHas } from '../model/digest.ts';
import { quoteId } from '../model/error.ts';
import type { RegistryLimits } from '../model/registry.ts';
import type { HttpResponse } from './http.ts';
import { mismatch, pauseMs, refusal } from './refusal.ts';
import { isTransient, registryAway, registryError } from './registry-error.ts';

/** Where a blob comes from. */
export interface BlobSource {
  readonly host: string;
  blob(digest: ContentDigest, offset: number, signal?: AbortSignal): Promise<HttpResponse>;
}

/** What is fetched. */
export interface WantedBlob {
  readonly digest: ContentDigest;
  readonly sizeBytes: number;
}

/** Told while it goes on; must not wait. */
export interface DownloadReport {
  fetched(bytes: number): void;
  /** It broke, and is tried again. */
  retrying(why: string): void;
}

/** Told of a fetch by itself. */
export interface FetchReport extends DownloadReport {
  /** What is in the file already is not known to be right before its end. */
  resumed(): void;
}

const READ_BYTES = 1 << 20;

/**
 * Fetches a blob into a file; what is in it already is kept and checked with the rest.
 * @param path - of the file; made when it is not there. After a failure it holds what came, unless that was
 * wrong.
 * @throws MydockerError `invalid-argument` (DIGEST_MISMATCH, SIZE_MISMATCH); as repository.ts once there were
 * enough tries; the signal's reason; what the disk throws.
 */
export async function fetchBlob(
  source: BlobSource,
  blob: WantedBlob,
  path: string,
  limits: RegistryLimits,
  report: FetchReport,
  signal: AbortSignal,
): Promise<void> {
  const file = await open(path, 'a+', 0o600);
  try {
    const had = (await file.stat()).size;
    if (had > 0) report.resumed();
    // What an earlier try left may have been damaged since; then all of it is fetched.
    if (had > 0 && (await goOn(source, blob, file, limits, report, signal)) === undefined) return;
    if (had > 0) await file.truncate(0);
    const senders = await goOn(source, blob, file, limits, report, signal);
    if (senders === undefined) return;
    await file.truncate(0);
    throw mismatch(
      [...senders].join(' or ') || source.host,
      `what it sends for ${blob.digest} is something else`,
    );
  } finally {
    await file.close();
  }
}

/** @returns undefined: the file has the digest; else who sent what it has. */
async function goOn(
  source: BlobSource,
  blob: WantedBlob,
  file: FileHandle,
  limits: RegistryLimits,
  report: DownloadReport,
  signal: AbortSignal,
): Promise<ReadonlySet<string> | undefined> {
  const state: State = {
    ...{ source, blob, file, report, signal },
    ...{ hash: hashFor(blob.digest), size: 0, senders: new Set<string>() },
  };
  await takeUp(state);
  let tries = 0;
  for (let resumes = 0; state.size < blob.sizeBytes; resumes += 1) {
    const before = state.size;
    try {
      await fetchRest(state);
    } catch (error) {
      tries = state.size > before ? 1 : tries + 1;
      if (!isTransient(error) || tries >= limits.tries || resumes >= limits.resumes) throw error;
      report.retrying(error.metadata['why'] ?? error.message);
      await sleep(pauseMs(limits, tries, error.metadata), undefined, { signal });
    }
  }
  return hashHas(state.hash, blob.digest) ? undefined : state.senders;
}

interface State {
  readonly source: BlobSource;
  readonly blob: WantedBlob;
  readonly file: FileHandle;
  readonly report: DownloadReport;
  readonly signal: AbortSignal;
  readonly hash: Hash;
  /** Bytes in the file, all of them hashed. */
  size: number;
  /** Names of those whose bytes they are. */
  readonly senders: Set<string>;
}

/** Hashes what is there. */
async function takeUp(state: State): Promise<void> {
  const { file, hash, blob, report, signal } = state;
  const { size } = await file.stat();
  if (size > blob.sizeBytes) await file.truncate(0);
  for (const buffer = Buffer.allocUnsafe(READ_BYTES); ; ) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, buffer.length, state.size);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    state.size += bytesRead;
  }
  if (state.size > 0) report.fetched(state.size);
}

/** One answer, to its end. */
async function fetchRest(state: State): Promise<void> {
  const { source, blob, signal } = state;
  const answer = await source.blob(blob.digest, state.size, signal);
  const { host } = answer;
  state.senders.add(host);
  let skip = skipped(blob, answer, state.size);
  for await (const chunk of answer.chunks()) {
    const rest = chunk.subarray(Math.min(skip, chunk.length));
    skip -= chunk.length - rest.length;
    if (rest.length > 0) await append(state, host, rest);
  }
  if (state.size < blob.sizeBytes) throw registryAway(host, 'the blob ended early');
}

async function append(state: State, host: string, bytes: Buffer): Promise<void> {
  const { blob, file, hash, report, signal } = state;
  signal.throwIfAborted();
  if (state.size + bytes.length > blob.sizeBytes)
    throw wrongSize(host, `${blob.digest} is longer than the ${blob.sizeBytes} bytes it should have`);
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
  hash.update(bytes);
  state.size += bytes.length;
  report.fetched(state.size);
}

/** @returns how many bytes of the answer are there already. */
function skipped(blob: WantedBlob, answer: HttpResponse, offset: number): number {
  const { host, status } = answer;
  const length = answer.header('content-length');
  if (status === 200) {
    if (length === '' || Number(length) === blob.sizeBytes) return offset;
    answer.discard();
    throw wrongSize(host, `${blob.digest} has ${quoteId(length)} bytes, not ${blob.sizeBytes}`);
  }
  const range = /^bytes (\d{1,16})-(\d{1,16})\/(?:(\d{1,16})|\*)$/.exec(answer.header('content-range'));
  const [from, to, total] = [range?.[1], range?.[2], range?.[3]].map(Number);
  const fits =
    from === offset &&
    to !== undefined &&
    to < blob.sizeBytes &&
    (range?.[3] === undefined || total === blob.sizeBytes);
  if (status === 206 && fits) return 0;
  if (status === 206) {
    answer.discard();
    throw registryError(
      host,
      `asked for bytes from ${offset} on, it sends ${quoteId(answer.header('content-range'))}`,
    );
  }
  throw refusal(host, answer, 'BLOB_NOT_FOUND', '');
}

function wrongSize(host: string, why: string): Error {
  return registryError(host, why, { code: 'invalid-argument', reason: 'SIZE_MISMATCH' });
}

/**
 * The server's side of a worker: gives it its descriptors, feeds it the archive, waits for its one answer.
 */
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { makePipe } from '../../native/pipe.ts';
import { internal, type MydockerError, resourceExhausted } from '../model/error.ts';
import type { LaunchWorker, Worker, WorkerExit, WorkerFilesystem } from '../model/worker.ts';
import type { ArchiveLimits } from './archive-limits.ts';
import { compileCache, WORKER_PROGRAM, workerProgramPaths } from './worker-program.ts';
import {
  checkRemoveTreesResult,
  checkUnpackResult,
  decodeAnswer,
  MAX_ANSWER_BYTES,
  type RemoveTreesResult,
  type UnpackResult,
  WORKER_FD,
  type WorkerJob,
} from './worker-protocol.ts';

/** What Node needs, and what the decoder's window (128 MiB) and the names of many directories may take. */
const MEMORY_LIMIT_BYTES = 768n * 1024n * 1024n;

/** What of a crash is kept for the log. */
const MAX_STDERR_BYTES = 8192;

/** To write into a tree whoever owns it, and give files away; SETFCAP for file capabilities. */
const UNPACK_CAPABILITIES = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'MKNOD', 'SETFCAP'];

/** Opaque directories are marked with a trusted.* attribute, and only a layer on others has them. */
const OPAQUE_CAPABILITIES = [...UNPACK_CAPABILITIES, 'SYS_ADMIN'];

const REMOVE_CAPABILITIES = ['DAC_OVERRIDE', 'FOWNER'];

/** Where a job works. */
export interface WorkerTarget {
  /** Open directory (a read or an O_PATH handle); stays the caller's. */
  readonly directoryFd: number;
  readonly launch: LaunchWorker;
  /** Kills the worker. */
  readonly signal?: AbortSignal;
}

/** Where a volume is that is filled: an open folder, or a filesystem that is mounted for that. */
export type FillPlace = { readonly directoryFd: number } | { readonly filesystem: WorkerFilesystem };

type JobTarget = Omit<WorkerTarget, 'directoryFd'> & FillPlace;

/** An archive, plain or compressed: chunks as they come, or an open file that is read from where it stands. */
export type ArchiveSource = AsyncIterable<Uint8Array> | { readonly fd: number };

/**
 * Unpacks an archive into an empty directory, durably.
 * @param input - not read further once the worker has failed; a file stays the caller's to close.
 * @throws MydockerError as the worker says it (`invalid-argument`, `resource-exhausted`), what the input
 * throws, the signal's reason, or `internal` when the worker crashed.
 */
export async function runUnpack(
  target: WorkerTarget,
  job: WorkerJob & { readonly verb: 'unpack' },
  input: ArchiveSource,
): Promise<UnpackResult> {
  const capabilities = job.below.length === 0 ? UNPACK_CAPABILITIES : OPAQUE_CAPABILITIES;
  return checkUnpackResult(await runJob(target, job, capabilities, job.below, input));
}

/**
 * Cuts an archive of images into files with numbers and a table of their names (spool-table.ts), not synced.
 * @throws MydockerError as {@link runUnpack}.
 */
export async function runSpool(
  target: WorkerTarget,
  limits: ArchiveLimits,
  input: ArchiveSource,
): Promise<void> {
  // The folder is the server's own: nothing is given away, no capability is needed.
  await runJob(target, { verb: 'spool', limits }, [], [], input);
}

/**
 * Copies the merged view of folders into `tree` of the target directory, durably.
 * @param sources - the topmost first; the worker sees them read-only.
 * @throws MydockerError `resource-exhausted`, `internal` naming the call that failed; the signal's reason.
 */
export async function runCopyTree(target: WorkerTarget, sources: readonly string[]): Promise<void> {
  await runJob(target, { verb: 'copy-tree', sources }, OPAQUE_CAPABILITIES, sources);
}

/**
 * Gives the target directory, where it is empty, the merged view of folders, durably.
 * @param sources - as of {@link runCopyTree}.
 * @throws MydockerError as {@link runCopyTree}.
 */
export async function runFillTree(
  target: Omit<WorkerTarget, 'directoryFd'> & { readonly place: FillPlace },
  sources: readonly string[],
): Promise<void> {
  const { place, ...how } = target;
  await runJob({ ...how, ...place }, { verb: 'fill-tree', sources }, OPAQUE_CAPABILITIES, sources);
}

/**
 * Removes everything in a directory, and what comes into it meanwhile.
 * @returns what could not be removed.
 * @throws MydockerError `internal` when the worker crashed.
 */
export async function runRemoveTrees(target: WorkerTarget): Promise<RemoveTreesResult> {
  return checkRemoveTreesResult(await runJob(target, { verb: 'remove-trees' }, REMOVE_CAPABILITIES, []));
}

async function runJob(
  target: JobTarget,
  job: WorkerJob,
  capabilities: readonly string[],
  readOnlyFolders: readonly string[],
  source?: ArchiveSource,
): Promise<unknown> {
  target.signal?.throwIfAborted();
  const file = source !== undefined && 'fd' in source ? source.fd : undefined;
  const input = source === undefined || 'fd' in source ? undefined : source;
  const stdin = input === undefined ? undefined : makePipe();
  const archiveFd = stdin?.read ?? file;
  const answer = makePipe();
  const stderr = makePipe();
  const theirs = [answer.write, stderr.write, ...(stdin === undefined ? [] : [stdin.read])];
  const answerText = readAll(answer.read, MAX_ANSWER_BYTES);
  const stderrText = readAll(stderr.read, MAX_STDERR_BYTES);
  const feed =
    stdin === undefined ? undefined : new Socket({ fd: stdin.write, readable: false, writable: true });
  let worker: Worker;
  try {
    worker = await target.launch({
      name: job.verb,
      args: [process.execPath, '--max-old-space-size=384', WORKER_PROGRAM, JSON.stringify(job)],
      env: { LANG: 'C', ...compileCache(process.env) },
      fds: {
        ...(archiveFd === undefined ? {} : { [WORKER_FD.archive]: archiveFd }),
        [WORKER_FD.stderr]: stderr.write,
        ...('directoryFd' in target ? { [WORKER_FD.directory]: target.directoryFd } : {}),
        [WORKER_FD.answer]: answer.write,
      },
      readOnlyBinds: [...workerProgramPaths(), ...readOnlyFolders],
      capabilities,
      memoryLimitBytes: MEMORY_LIMIT_BYTES,
      ...('filesystem' in target ? { filesystem: target.filesystem } : {}),
    });
  } catch (error) {
    feed?.destroy();
    throw error;
  } finally {
    for (const fd of theirs) closeSync(fd);
  }
  return await supervise(worker, target.signal, feed, input, answerText, stderrText);
}

async function supervise(
  worker: Worker,
  signal: AbortSignal | undefined,
  feed: Socket | undefined,
  input: AsyncIterable<Uint8Array> | undefined,
  answerText: Promise<string>,
  stderrText: Promise<string>,
): Promise<unknown> {
  const kill = (): void => worker.kill();
  signal?.addEventListener('abort', kill, { once: true });
  if (signal?.aborted === true) kill();
  let inputError: { readonly error: unknown } | undefined;
  const fed =
    feed === undefined || input === undefined
      ? Promise.resolve()
      : sendAll(feed, input).catch((error: unknown) => {
          // Half an archive is none: the worker must not take the end of it for the end.
          inputError = { error };
          kill();
        });
  // When the worker is gone nobody reads any more, so that sending ends by itself.
  const [exit, text, crash] = await Promise.all([worker.exit, answerText, stderrText]);
  feed?.destroy();
  signal?.removeEventListener('abort', kill);
  signal?.throwIfAborted();
  const answer = decodeAnswer(text);
  if (answer !== undefined && 'error' in answer) throw answer.error;
  if (inputError !== undefined) throw inputError.error;
  if (answer === undefined) throw crashed(exit, crash);
  await fed;
  return answer.ok;
}

/** Stops without an error when the reader is gone; throws what the input throws. */
async function sendAll(feed: Socket, input: AsyncIterable<Uint8Array>): Promise<void> {
  let broken = false;
  feed.on('error', () => {
    broken = true;
  });
  const closed = new Promise<void>((resolve) => {
    feed.once('close', () => {
      broken = true;
      resolve();
    });
  });
  for await (const chunk of input) {
    if (broken) return;
    const { promise: written, resolve } = Promise.withResolvers<void>();
    // Whoever gave the chunk may use its memory for the next one.
    feed.write(chunk, () => resolve());
    await Promise.race([closed, written]);
  }
  feed.end();
}

function crashed(exit: WorkerExit, stderr: string): MydockerError {
  if (exit.oomKilled || /heap out of memory/.test(stderr)) {
    return resourceExhausted('cannot unpack archive: it needs more memory than the unpacker may use', {
      reason: 'ARCHIVE_LIMIT',
      metadata: { why: 'it needs more memory than the unpacker may use' },
    });
  }
  const how =
    exit.signal !== 0 ? `was ended by signal ${exit.signal}` : `exited with status ${exit.exitStatus}`;
  return internal(`cannot unpack archive: the unpacker ${how}`, {
    reason: 'WORKER_CRASHED',
    metadata: { why: `the unpacker ${how}` },
    hint: 'see the log of the server',
    cause: new Error(stderr === '' ? 'it said nothing' : stderr),
  });
}

/** Everything that comes until the end, what is over the limit thrown away. */
function readAll(fd: number, maxBytes: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = new Socket({ fd, readable: true, writable: false });
    const parts: Buffer[] = [];
    let size = 0;
    socket.on('data', (part: Buffer) => {
      if (size < maxBytes) parts.push(part.subarray(0, maxBytes - size));
      size += part.length;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(Buffer.concat(parts).toString()));
  });
}

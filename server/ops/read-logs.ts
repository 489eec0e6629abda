/** A container's log as a client wants it: raw or line by line, from anywhere, to the end or followed. */
import type { ContainerRecord } from '../model/container.ts';
import { cannot, quoteId } from '../model/error.ts';
import { isAlive } from '../model/task-state.ts';
import { nowNs } from '../model/time.ts';
import { LogCursor, tailPosition, watchLog } from '../task/log-file.ts';
import {
  type LogEntry,
  type LogFilter,
  logTime,
  type RawChunk,
  toEntries,
  toRawChunks,
} from '../task/log-record.ts';
import type { LiveRun } from '../task/runs.ts';
import type { LogPosition } from '../task/shim-protocol.ts';
import { containerFolder, type Engine } from './engine.ts';
import { findContainer } from './find-container.ts';

export interface LogRequest {
  readonly container: string;
  /** Goes on until the container's process ends. */
  readonly follow: boolean;
  /** Only the last so many lines; absent: all. */
  readonly tail?: number | undefined;
  /** Only what this run wrote: the present or last one. `''`: all. */
  readonly runId?: string;
  /** ns since epoch. */
  readonly since?: bigint | undefined;
  /** ns since epoch; ends a follow too. */
  readonly until?: bigint | undefined;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** As the process wrote it, in large pieces; else line by line with times. */
  readonly raw: boolean;
  readonly abort: AbortSignal;
}

export type LogChunk =
  | { readonly kind: 'raw'; readonly chunks: readonly RawChunk[] }
  | { readonly kind: 'entries'; readonly entries: readonly LogEntry[] };

/** How long a follower that was not woken looks again: the watch may be refused by the machine's limits. */
const LOOK_AGAIN_MS = 1000;

/** Woken by changes of the log, by the end of the run, by time, by the client. */
class Alarm implements Disposable {
  readonly #stop: () => void;
  #wake: (() => void) | undefined;
  #rung = false;

  /** @param until - ns since epoch: then at the latest. */
  constructor(folder: string, until: bigint | undefined, abort: AbortSignal) {
    const ring = (): void => {
      this.#rung = true;
      this.#wake?.();
    };
    const timer = setInterval(ring, LOOK_AGAIN_MS);
    const last = until === undefined ? undefined : setTimeout(ring, Math.min(msUntil(until), LOOK_AGAIN_MS));
    abort.addEventListener('abort', ring);
    let unwatch: (() => void) | undefined;
    try {
      unwatch = watchLog(folder, ring);
    } catch {
      // Too many watches on this machine: the timer has to do.
    }
    this.ring = ring;
    this.#stop = () => {
      clearInterval(timer);
      clearTimeout(last);
      abort.removeEventListener('abort', ring);
      unwatch?.();
    };
  }

  readonly ring: () => void;

  async wait(): Promise<void> {
    if (this.#rung) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await promise;
  }

  [Symbol.dispose](): void {
    this.#stop();
  }
}

/** Rounded up, so that it is over then. */
const msUntil = (at: bigint): number => Math.max(0, Number((at - nowNs()) / 1_000_000n) + 1);

function startOf(folder: string, request: LogRequest): LogPosition {
  return request.tail === undefined ? { serial: 1, offset: 0 } : tailPosition(folder, request.tail);
}

/** @throws MydockerError `not-found` when there is no such container or run, or its log was removed. */
export async function* readLogs(engine: Engine, asked: LogRequest): AsyncGenerator<LogChunk, void> {
  const record = findContainer(engine, asked.container);
  const { id, name, run: present } = record;
  const request = ofRun(record, asked);
  // From now on: a container that goes with its end waits for who has asked, also before the first file is open.
  const reading = engine.runs.beginReading(present?.runId ?? '');
  try {
    for await (const chunk of readLog(engine, { id, name }, request)) {
      yield chunk;
      reading.progressed();
    }
  } finally {
    reading.done();
  }
}

/** The log does not say which run wrote a line; of the last one it is everything since it began. */
function ofRun({ name, run }: ContainerRecord, request: LogRequest): LogRequest {
  const { runId = '', since = 0n } = request;
  if (runId === '') return request;
  if (run?.runId !== runId)
    throw cannot('not-found', 'read log of', 'container', name, `run ${quoteId(runId)} is not its last one`, {
      reason: 'RUN_NOT_FOUND',
      hint: 'lines of earlier runs are found by their time; an additional process has no log',
    });
  return since >= run.startedAt ? request : { ...request, since: run.startedAt };
}

async function* readLog(
  engine: Engine,
  { id, name }: Pick<ContainerRecord, 'id' | 'name'>,
  request: LogRequest,
): AsyncGenerator<LogChunk, void> {
  const folder = `${containerFolder(engine.paths, id)}/logs`;
  const filter: LogFilter = {
    stdout: request.stdout,
    stderr: request.stderr,
    ...(request.since === undefined ? {} : { since: logTime(request.since) }),
    ...(request.until === undefined ? {} : { until: logTime(request.until) }),
  };
  const decode = decoder(request.raw, filter);
  let start: LogPosition;
  try {
    start = startOf(folder, request);
  } catch (cause) {
    throw cannot('not-found', 'read log of', 'container', name, 'it is gone', {
      reason: 'LOG_NOT_FOUND',
      cause,
    });
  }
  await using cursor = new LogCursor(folder, start);
  if (!request.follow) {
    yield* readToEnd(cursor, decode, request.abort);
    return;
  }
  const isMeant = (record: ContainerRecord | undefined): boolean =>
    record !== undefined &&
    isAlive(record.status) &&
    (request.runId || record.run?.runId) === record.run?.runId;
  const goesOn = (): boolean =>
    isMeant(engine.store.containers.get(id)) && (request.until === undefined || nowNs() < request.until);
  let ring = (): void => undefined;
  let watched: LiveRun | undefined;
  while (!request.abort.aborted) {
    const more = goesOn();
    yield* readToEnd(cursor, decode, request.abort);
    // Whatever was written before it ended has been read: that was asked for first.
    if (!more) return;
    // Set only now: every write of a busy container would ring it while a slow client is far behind.
    using alarm = new Alarm(folder, request.until, request.abort);
    if (request.abort.aborted || (await cursor.hasMore())) continue;
    ring = alarm.ring;
    const run = engine.runs.initOf(id);
    // Once for each run, however often a follower of weeks waits.
    if (run !== undefined && run !== watched) void run.ended.then(() => ring());
    watched = run;
    if (goesOn()) await alarm.wait();
  }
}

type Decode = (bytes: Buffer) => { chunk: LogChunk; consumed: number; empty: boolean };

function decoder(raw: boolean, filter: LogFilter): Decode {
  if (raw)
    return (bytes) => {
      const { chunks, consumed } = toRawChunks(bytes, filter);
      return { chunk: { kind: 'raw', chunks }, consumed, empty: chunks.length === 0 };
    };
  return (bytes) => {
    const { entries, consumed } = toEntries(bytes, filter);
    return { chunk: { kind: 'entries', entries }, consumed, empty: entries.length === 0 };
  };
}

async function* readToEnd(
  cursor: LogCursor,
  decode: Decode,
  abort: AbortSignal,
): AsyncGenerator<LogChunk, void> {
  while (!abort.aborted) {
    const bytes = await cursor.read();
    if (bytes.length === 0) return;
    const { chunk, consumed, empty } = decode(bytes);
    // The writer is in the middle of a line; its rest comes with the next look.
    cursor.stepBack(bytes.length - consumed);
    if (!empty) yield chunk;
    if (consumed === 0) return;
  }
}

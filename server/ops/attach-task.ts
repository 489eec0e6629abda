/** Connects a client to the stdio of a container's process. */
import type { Exit } from '../model/container.ts';
import { cancelled, cannot } from '../model/error.ts';
import { AttachConnection } from '../task/attach-connection.ts';
import type { RawChunk } from '../task/log-record.ts';
import type { LiveRun, Reading } from '../task/runs.ts';
import { connectInFolder, endedSocket } from '../task/shim-sockets.ts';
import { tell } from './container-event.ts';
import type { Engine } from './engine.ts';
import { containerFolder } from './engine.ts';
import { findContainer } from './find-container.ts';
import { resizeTask } from './kill-task.ts';

export interface AttachRequest {
  readonly container: string;
  /** Of an additional process; absent: the container's own. */
  readonly runId?: string | undefined;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** `run-start`: the run's output so far comes first, then what follows, without a gap. */
  readonly replay: 'none' | 'run-start';
  /** Standard input ends when this client leaves. */
  readonly stdinOnce: boolean;
  /** A container that does not run: its next run is attached to, from its first byte. */
  readonly waitForStart: boolean;
  readonly abort: AbortSignal;
}

/** A client's side of a process. */
export interface AttachSession {
  readonly containerId: string;
  readonly runId: string;
  /** Ends when the process has ended and everything it wrote is given out. */
  readonly output: AsyncIterable<RawChunk>;
  /** Resolves when more may be written. */
  write(data: Uint8Array): Promise<void>;
  closeStdin(): void;
  resize(rows: number, columns: number): Promise<void>;
  /** Leaves; the process goes on. */
  detach(): void;
  /** The client has said that it leaves, which is told, where it is the container's own process. */
  noteLeft(): void;
  readonly exited: Promise<Exit>;
}

/** The run of a container, now or when it starts; then its whole output is wanted. */
async function liveRun(engine: Engine, request: AttachRequest): Promise<[LiveRun, AttachRequest]> {
  const record = findContainer(engine, request.container);
  const { runId = '' } = request;
  const find = (): LiveRun | undefined =>
    runId === '' ? engine.runs.initOf(record.id) : engine.runs.get(runId);
  const now = find();
  if (now !== undefined) return [now, request];
  if (!request.waitForStart || runId !== '')
    throw cannot(
      'failed-precondition',
      'attach to',
      'container',
      record.name,
      `it is ${record.status}, not running`,
      {
        reason: 'CONTAINER_NOT_RUNNING',
        metadata: { status: record.status },
        hint: 'start it first, or read its log',
      },
    );
  const { events } = engine.store;
  for await (const event of events.since(events.lastSeq, { signal: request.abort })) {
    const run = find();
    if (event.id === record.id && run !== undefined) return [run, { ...request, replay: 'run-start' }];
  }
  throw cancelled('the request was cancelled');
}

/**
 * @throws MydockerError `failed-precondition` when it does not run, `unavailable` when its shim does not take
 * the connection, `not-found`.
 */
export async function attachTask(engine: Engine, request: AttachRequest): Promise<AttachSession> {
  const [run, wanted] = await liveRun(engine, request);
  return attachRun(engine, run, wanted);
}

/** As attachTask, for a run at hand. */
async function attachRun(engine: Engine, run: LiveRun, request: AttachRequest): Promise<AttachSession> {
  const { containerId } = run;
  const logsFolder =
    run.logFrom.serial === 0 ? undefined : `${containerFolder(engine.paths, containerId)}/logs`;
  // Its sockets exist from then on.
  await run.connection.created;
  const replayed = request.replay === 'run-start' && logsFolder !== undefined;
  const connection = new AttachConnection(
    await connectInFolder(run.folder, 'attach').catch((cause: unknown) => {
      // It was shorter than the way to it; all that it wrote is in the log.
      if (replayed) return endedSocket();
      throw cannot('unavailable', 'attach to', 'container', request.container, 'it has just ended', {
        reason: 'CONTAINER_NOT_RUNNING',
        hint: 'its output is in the log',
        cause,
      });
    }),
    {
      stdin: request.stdin,
      stdout: request.stdout,
      stderr: request.stderr,
      stdinOnce: request.stdinOnce,
      ended: run.ended,
      ...(logsFolder === undefined ? {} : { logsFolder }),
      ...(replayed ? { replayFrom: run.logFrom } : {}),
    },
  );
  request.abort.addEventListener('abort', () => connection.close());
  if (run.kind === 'init') tell(engine, containerId, 'attach', { runId: run.runId });
  return sessionOf(engine, run, connection);
}

/** @param connection - to the stdio of `run`. */
export function sessionOf(engine: Engine, run: LiveRun, connection: AttachConnection): AttachSession {
  const { containerId, runId } = run;
  const reading = engine.runs.beginReading(runId);
  return {
    containerId,
    runId,
    output: told(connection.output(), reading),
    write: (data) => connection.write(data),
    closeStdin: () => connection.closeStdin(),
    resize: (rows, columns) =>
      resizeTask(engine, {
        container: containerId,
        runId: run.kind === 'exec' ? runId : undefined,
        rows,
        columns,
      }),
    detach: () => {
      connection.close();
      reading.done();
    },
    noteLeft: () => {
      if (run.kind === 'init') tell(engine, containerId, 'detach', { runId });
    },
    exited: run.ended,
  };
}

async function* told<T>(items: AsyncIterable<T>, reading: Reading): AsyncGenerator<T, void> {
  try {
    for await (const item of items) {
      yield item;
      reading.progressed();
    }
  } finally {
    reading.done();
  }
}

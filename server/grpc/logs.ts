/** A container's log as a stream of messages. */
import {
  LogFormat,
  OutputStream,
  type ReadTaskLogsRequest,
  type ReadTaskLogsResponse,
} from '../../proto/gen/mydocker/v1/tasks.ts';
import type { Engine } from '../ops/engine.ts';
import { type LogChunk, readLogs as readLogsOf } from '../ops/read-logs.ts';
import type { CallContext } from './calls.ts';
import { fromTimestamp, toTimestamp } from './timestamp.ts';

const NEWLINE = Buffer.from('\n');
const STREAM = { stdout: OutputStream.STDOUT, stderr: OutputStream.STDERR } as const;

/** Nothing is read further than the client's window allows. */
export async function* readLogs(
  engine: Engine,
  request: ReadTaskLogsRequest,
  { signal: abort }: CallContext,
): AsyncGenerator<ReadTaskLogsResponse, undefined> {
  const { container, follow, tail, sinceAt, untilAt, streams, runId, format } = request;
  const wants = (stream: OutputStream): boolean =>
    streams.length === 0 || streams.includes(stream) || streams.includes(OutputStream.UNSPECIFIED);
  const chunks = readLogsOf(engine, {
    ...{ container, follow, tail, runId, abort },
    since: sinceAt === undefined ? undefined : fromTimestamp('since_at', sinceAt),
    until: untilAt === undefined ? undefined : fromTimestamp('until_at', untilAt),
    stdout: wants(OutputStream.STDOUT),
    stderr: wants(OutputStream.STDERR),
    raw: format === LogFormat.RAW,
  });
  for await (const chunk of chunks) yield* encodeChunk(chunk);
}

function* encodeChunk(chunk: LogChunk): Generator<ReadTaskLogsResponse, undefined> {
  if (chunk.kind === 'raw') {
    for (const { stream, data } of chunk.chunks) yield { frame: { $case: stream, value: data } };
    return;
  }
  const entries = chunk.entries.map(({ at, stream, line, partial }) => ({
    at: toTimestamp(at),
    stream: STREAM[stream],
    data: partial ? line : Buffer.concat([line, NEWLINE]),
    partial,
    runId: '',
  }));
  yield { frame: { $case: 'entries', value: { entries } } };
}

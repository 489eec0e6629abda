/** `mydocker logs`: what a container wrote, kept apart as it wrote it. */
import {
  type LogEntry,
  LogFormat,
  OutputStream,
  ReadTaskLogsRequest,
} from '../../proto/gen/mydocker/v1/tasks.ts';
import { readTaskLogs } from '../api/tasks.ts';
import type { Action } from '../grammar/command.ts';
import type { LOGS_OPTIONS } from '../grammar/command-options.ts';
import type { Arguments } from '../grammar/option.ts';
import { stderrSink, stdoutSink } from '../output.ts';
import { parseWhole } from '../parse/parse-number.ts';
import { parseWhen } from '../parse/parse-when.ts';
import { showInstant } from '../render/values.ts';

const NEWLINE = 10;

export const logs: Action<typeof LOGS_OPTIONS> = async (args, context) => {
  const writer = entryWriter();
  for await (const { frame } of context.connect().serverStream(readTaskLogs, request(args))) {
    if (frame?.$case === 'stdout') await stdoutSink.write(frame.value);
    else if (frame?.$case === 'stderr') await stderrSink.write(frame.value);
    else await writer(frame?.value.entries ?? []);
  }
  return 0;
};

function request({ options, positionals }: Arguments<typeof LOGS_OPTIONS>): ReadTaskLogsRequest {
  const { follow = false, tail, since, until, timestamps } = options;
  const [container = ''] = positionals;
  return ReadTaskLogsRequest.create({
    container,
    follow,
    ...(tail === undefined || tail === 'all' || tail === '-1'
      ? {}
      : { tail: parseWhole('--tail', tail, 0, 4_294_967_295) }),
    ...(since === undefined ? {} : { sinceAt: parseWhen('--since', since) }),
    ...(until === undefined ? {} : { untilAt: parseWhen('--until', until) }),
    format: timestamps ? LogFormat.ENTRIES : LogFormat.RAW,
  });
}

/** Writes entries with the time before each line, neighbours of one stream at once; the parts of a long line make one. */
function entryWriter(): (entries: readonly LogEntry[]) => Promise<void> {
  const withinLine = new Set<OutputStream>();
  return async (entries) => {
    let pieces: Uint8Array[] = [];
    for (const [index, { at, stream, data, partial }] of entries.entries()) {
      if (!withinLine.has(stream) && at !== undefined) pieces.push(Buffer.from(`${showInstant(at)} `));
      pieces.push(data);
      if (!partial && data.at(-1) !== NEWLINE) pieces.push(Buffer.of(NEWLINE));
      if (partial) withinLine.add(stream);
      else withinLine.delete(stream);
      if (entries[index + 1]?.stream === stream) continue;
      await (stream === OutputStream.STDERR ? stderrSink : stdoutSink).write(Buffer.concat(pieces));
      pieces = [];
    }
  };
}

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
import { type ByteSink, stderrSink, stdoutSink } from '../output.ts';
import { parseWhole } from '../parse/parse-number.ts';
import { parseWhen } from '../parse/parse-when.ts';
import { showInstant } from '../render/values.ts';

const NEWLINE = 10;

export const logs: Action<typeof LOGS_OPTIONS> = async (args, context) => {
  const writers = { stdout: entryWriter(stdoutSink), stderr: entryWriter(stderrSink) };
  for await (const { frame } of context.connect().serverStream(readTaskLogs, request(args))) {
    if (frame?.$case === 'stdout') await stdoutSink.write(frame.value);
    else if (frame?.$case === 'stderr') await stderrSink.write(frame.value);
    else {
      for (const entry of frame?.value.entries ?? []) {
        await (entry.stream === OutputStream.STDERR ? writers.stderr : writers.stdout)(entry);
      }
    }
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

/** Writes entries with the time before each line; the parts of a long line make one. */
function entryWriter(sink: ByteSink): (entry: LogEntry) => Promise<void> {
  let withinLine = false;
  return async ({ at, data, partial }) => {
    const time = withinLine || at === undefined ? '' : `${showInstant(at)} `;
    const ends = data.at(-1) === NEWLINE;
    withinLine = partial;
    await sink.write(Buffer.concat([Buffer.from(time), data, Buffer.from(partial || ends ? '' : '\n')]));
  };
}

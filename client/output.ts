/**
 * Standard output and error, written to by descriptor: the streams of node:process cost time to load and block
 * everything else while a reader of a pipe is slow. A reader that is gone ends the program without a word.
 */
import { write, writeSync } from 'node:fs';
import { OUR_ERROR } from './usage-error.ts';

const STDOUT = 1;
const STDERR = 2;

/** Pause before another try where somebody made the descriptor non-blocking, in ms. */
const RETRY_MS = 2;

/** What a shell expects of a program that SIGPIPE ended. */
const BROKEN_PIPE = 128 + 13;

/** Writes text to standard output, all of it before it returns. */
export function print(text: string): void {
  writeAll(STDOUT, text);
}

/** Writes text to standard error, all of it before it returns. */
export function printError(text: string): void {
  writeAll(STDERR, text);
}

function writeAll(fd: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      if (!isFull(error)) leave(error);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}

/** Where bytes of a container go. */
export interface ByteSink {
  /** Writes all of it; resolved when there is room for more. In order, if awaited. */
  write(bytes: Uint8Array): Promise<void>;
}

/** Standard output as a sink. */
export const stdoutSink: ByteSink = { write: (bytes) => pump(STDOUT, bytes) };
/** Standard error as a sink. */
export const stderrSink: ByteSink = { write: (bytes) => pump(STDERR, bytes) };

async function pump(fd: number, bytes: Uint8Array): Promise<void> {
  let rest = bytes;
  while (rest.length > 0) {
    const { error, written } = await writeSome(fd, rest);
    if (error === null) rest = rest.subarray(written);
    else if (isFull(error)) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    else leave(error);
  }
}

function writeSome(fd: number, bytes: Uint8Array): Promise<{ error: Error | null; written: number }> {
  return new Promise((resolve) => {
    write(fd, bytes, (error, written) => resolve({ error, written }));
  });
}

function isFull(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EAGAIN';
}

/** Nobody reads any more, or nothing can be written: there is no place left to say so. */
function leave(error: unknown): never {
  if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(BROKEN_PIPE);
  try {
    writeSync(STDERR, `mydocker: cannot write the output: ${(error as Error).message}\n`);
  } catch {
    // then not
  }
  process.exit(OUR_ERROR);
}

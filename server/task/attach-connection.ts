/**
 * A client's end of a process's stdio. The shim never waits for a slow reader of a process that has a log: it
 * leaves a hole, and each frame says where its bytes stand in the log, so that the hole is read from there.
 * What a reader gets is complete and in order whatever its speed.
 */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { resourceExhausted } from '../model/error.ts';
import { isBefore, LogCursor, logEnd } from './log-file.ts';
import { type LogFilter, type OutputStream, type RawChunk, toRawChunks } from './log-record.ts';
import {
  ATTACH_FLAG,
  decodeFrame,
  encodeFrame,
  FRAME_BYTES,
  type Frame,
  type LogPosition,
  STREAM,
} from './shim-protocol.ts';

export interface AttachOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Standard input of the process ends when this client leaves. */
  readonly stdinOnce: boolean;
  /** Output before this moment is wanted too, from here on; needs a log. */
  readonly replayFrom?: LogPosition;
  /** Folder of the log; absent for a process that has none. */
  readonly logsFolder?: string;
  /** Resolves when the process has ended; before that a shim hangs up only where it has no room. */
  readonly ended?: Promise<unknown>;
}

/** How long the news of an end may take to come behind the hang-up. */
const END_GRACE_MS = 2000;

const STREAM_NAME: Readonly<Record<number, OutputStream>> = {
  [STREAM.stdout]: 'stdout',
  [STREAM.stderr]: 'stderr',
};

export class AttachConnection {
  readonly #socket: Socket;
  readonly #options: AttachOptions;
  readonly #filter: LogFilter;
  /** Up to where in the log everything was given out; undefined until the shim has said where it is. */
  #at: LogPosition | undefined;

  /** @param socket - connected to a shim's attach socket, or one end of a pair that the shim has. */
  constructor(socket: Socket, options: AttachOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#filter = { stdout: options.stdout, stderr: options.stderr };
    this.#at = options.replayFrom;
    const flags =
      (options.stdout ? ATTACH_FLAG.stdout : 0) |
      (options.stderr ? ATTACH_FLAG.stderr : 0) |
      (options.stdin ? ATTACH_FLAG.stdin : 0) |
      (options.stdinOnce ? ATTACH_FLAG.stdinOnce : 0);
    socket.on('error', () => socket.destroy());
    socket.write(encodeFrame(STREAM.hello, 0, flags));
  }

  /** Resolves when the process may be given more: a reader that reads nothing stops its writer. */
  async write(data: Uint8Array): Promise<void> {
    const socket = this.#socket;
    if (data.length === 0 || socket.destroyed) return;
    socket.cork();
    socket.write(encodeFrame(STREAM.stdin, data.length));
    socket.write(data);
    socket.uncork();
    if (!socket.writableNeedDrain || socket.destroyed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    // Whichever comes second is not waited for, and must not be listened for either.
    const over = (): void => {
      socket.off('drain', over);
      socket.off('close', over);
      resolve();
    };
    socket.on('drain', over);
    socket.on('close', over);
    await promise;
  }

  closeStdin(): void {
    if (!this.#socket.destroyed) this.#socket.write(encodeFrame(STREAM.stdin, 0));
  }

  close(): void {
    this.#closedByUs = true;
    this.#socket.destroy();
  }

  /**
   * Output until the process has ended and all of it is given out, or until close().
   * @throws MydockerError `resource-exhausted` where the shim has no room for one more client.
   */
  async *output(): AsyncGenerator<RawChunk, void> {
    const head = Buffer.alloc(FRAME_BYTES);
    let headLength = 0;
    let frame: Frame | undefined;
    let given = 0;
    for await (const chunk of this.#chunks()) {
      const joined = new JoinedOutput(chunk);
      for (let at = 0; at < chunk.length || frame?.length === given; ) {
        if (frame === undefined) {
          const copied = chunk.copy(head, headLength, at, at + FRAME_BYTES - headLength);
          headLength += copied;
          at += copied;
          if (headLength < FRAME_BYTES) break;
          frame = decodeFrame(head, 0);
          this.#greeted = true;
          headLength = 0;
          given = 0;
          if (this.#isHole(frame.from)) {
            yield* joined.take();
            yield* this.#fillHole(frame.from);
          }
          this.#at = frame.from;
        }
        const end = Math.min(chunk.length, at + frame.length - given);
        const stream = STREAM_NAME[frame.stream];
        if (stream !== undefined && end > at) yield* joined.add(stream, at, end);
        given += end - at;
        at = end;
        if (given < frame.length) break;
        this.#at = frame.to;
        frame = undefined;
      }
      yield* joined.take();
    }
    if (!this.#greeted && !this.#closedByUs && (await this.#isRefused())) throw noRoom();
    // The shim left without waiting for us: the rest is in the log.
    if (!this.#closedByUs) yield* this.#rest(frame === undefined ? 0 : given);
  }

  #closedByUs = false;
  #greeted = false;

  async #isRefused(): Promise<boolean> {
    const { ended } = this.#options;
    if (ended === undefined) return false;
    const late = new AbortController();
    const waited = sleep(END_GRACE_MS, true, { signal: late.signal, ref: false }).catch(() => false);
    const refused = await Promise.race([waited, ended.then(() => false)]);
    late.abort();
    return refused && !this.#closedByUs;
  }

  async *#chunks(): AsyncGenerator<Buffer, void> {
    try {
      for await (const chunk of this.#socket) yield chunk as Buffer;
    } catch {
      // Destroyed: by close(), or because the shim died; #closedByUs tells which.
    }
  }

  #isHole(upTo: LogPosition): boolean {
    return this.#at !== undefined && upTo.serial !== 0 && isBefore(this.#at, upTo);
  }

  async *#fillHole(upTo: LogPosition): AsyncGenerator<RawChunk, void> {
    const { logsFolder } = this.#options;
    if (this.#at !== undefined && logsFolder !== undefined)
      yield* readRaw(logsFolder, this.#at, upTo, this.#filter);
  }

  async *#rest(skip: number): AsyncGenerator<RawChunk, void> {
    const { logsFolder } = this.#options;
    if (logsFolder === undefined || this.#at === undefined) return;
    let end: LogPosition;
    try {
      end = logEnd(logsFolder);
    } catch {
      // A container that was removed by force has no log any more.
      return;
    }
    let left = skip;
    for await (const { stream, data } of readRaw(logsFolder, this.#at, end, this.#filter)) {
      const passed = Math.min(left, data.length);
      left -= passed;
      if (passed < data.length) yield { stream, data: data.subarray(passed) };
    }
  }
}

/**
 * What lies in a piece of memory between frames' heads, neighbours of one stream joined: text moves up over the heads
 * in front of it.
 */
class JoinedOutput {
  readonly #memory: Buffer;
  #stream: OutputStream = 'stdout';
  #begin = 0;
  #end = 0;

  constructor(memory: Buffer) {
    this.#memory = memory;
  }

  /** @param from - not before the end of what was added before. @returns what is complete by that. */
  *add(stream: OutputStream, from: number, to: number): Generator<RawChunk, void> {
    if (stream !== this.#stream) yield* this.take();
    this.#stream = stream;
    if (this.#begin === this.#end) {
      this.#begin = from;
      this.#end = to;
      return;
    }
    this.#memory.copyWithin(this.#end, from, to);
    this.#end += to - from;
  }

  /** What was added since. */
  *take(): Generator<RawChunk, void> {
    if (this.#end > this.#begin)
      yield { stream: this.#stream, data: this.#memory.subarray(this.#begin, this.#end) };
    this.#begin = this.#end;
  }
}

function noRoom(): Error {
  return resourceExhausted('cannot attach: too many clients are attached to the process', {
    reason: 'TOO_MANY_CLIENTS',
    hint: 'detach one; mydocker logs -f shows its output to any number',
  });
}

/** A part of a log as the process wrote it. */
export async function* readRaw(
  folder: string,
  from: LogPosition,
  to: LogPosition,
  filter: LogFilter,
): AsyncGenerator<RawChunk, void> {
  await using cursor = new LogCursor(folder, from);
  for (let bytes = await cursor.read(to); bytes.length > 0; bytes = await cursor.read(to)) {
    const { chunks, consumed } = toRawChunks(bytes, filter);
    if (consumed === 0) return;
    cursor.stepBack(bytes.length - consumed);
    yield* chunks;
  }
}

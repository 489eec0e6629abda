/**
 * A container's log on disk: files `00000001.log`, `00000002.log` … that a shim appends to and never renames,
 * read by position. The format of their lines is in log-record.ts.
 */
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync, statSync, watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { LogPosition } from './shim-protocol.ts';

/** One read: thousands of lines for a call of the kernel, and more than the longest record (64 KiB and its head). */
export const LOG_READ_BYTES: number = 256 << 10;

export const logName = (serial: number): string => `${String(serial).padStart(8, '0')}.log`;

/** Serials of the files there are, oldest first. */
export function logSerials(folder: string): number[] {
  return readdirSync(folder)
    .filter((name) => /^\d{8}\.log$/.test(name))
    .map((name) => Number(name.slice(0, 8)))
    .sort((a, b) => a - b);
}

export const isBefore = (a: LogPosition, b: LogPosition): boolean =>
  a.serial < b.serial || (a.serial === b.serial && a.offset < b.offset);

/** Reads forward over all files. What was rotated away meanwhile is skipped. */
export class LogCursor implements AsyncDisposable {
  readonly #folder: string;
  #at: LogPosition;
  /** The furthest byte ever read: beyond `#at` where a record was cut. */
  #seen: LogPosition;
  #file: FileHandle | undefined;
  /** One for all reads: a new one each time costs more than the read. */
  #memory: Buffer | undefined;

  constructor(folder: string, from: LogPosition) {
    this.#folder = folder;
    this.#at = from;
    this.#seen = from;
  }

  get position(): LogPosition {
    return this.#at;
  }

  /**
   * The next bytes; never across two files.
   * @param until - stops there.
   * @returns an empty buffer when there is nothing now; its memory is used again by the next read.
   */
  async read(until?: LogPosition): Promise<Buffer> {
    let later: number | undefined;
    for (;;) {
      const file = await this.#current();
      if (file === undefined) return Buffer.alloc(0);
      const sameFile = until?.serial === this.#at.serial;
      const wanted = sameFile ? Math.min(LOG_READ_BYTES, until.offset - this.#at.offset) : LOG_READ_BYTES;
      if (wanted <= 0 || (until !== undefined && !isBefore(this.#at, until))) return Buffer.alloc(0);
      this.#memory ??= Buffer.allocUnsafeSlow(LOG_READ_BYTES);
      const buffer = this.#memory;
      const { bytesRead } = await file.read(buffer, 0, wanted, this.#at.offset);
      if (bytesRead > 0) {
        this.#at = { serial: this.#at.serial, offset: this.#at.offset + bytesRead };
        this.#seen = this.#at;
        return buffer.subarray(0, bytesRead);
      }
      if (later !== undefined) {
        await this.#goTo(later);
        later = undefined;
        continue;
      }
      // A file that has a next one grows no more, so what is read after this look is its rest.
      later = this.#later();
      if (later === undefined) {
        this.#memory = undefined;
        return Buffer.alloc(0);
      }
    }
  }

  /** Whether there are bytes that were never read. */
  async hasMore(): Promise<boolean> {
    const file = await this.#current();
    if (file === undefined) return false;
    const { serial, offset } = isBefore(this.#at, this.#seen) ? this.#seen : this.#at;
    return (serial === this.#at.serial && (await file.stat()).size > offset) || this.#later() !== undefined;
  }

  /** A record that was cut by a read is read again, whole. */
  stepBack(bytes: number): void {
    this.#at = { serial: this.#at.serial, offset: this.#at.offset - bytes };
  }

  async #current(): Promise<FileHandle | undefined> {
    if (this.#file !== undefined) return this.#file;
    try {
      this.#file = await open(`${this.#folder}/${logName(this.#at.serial)}`, 'r');
    } catch {
      const later = this.#later();
      if (later === undefined) return undefined;
      this.#at = { serial: later, offset: 0 };
      return this.#current();
    }
    return this.#file;
  }

  #later(): number | undefined {
    if (!existsSync(this.#folder)) return undefined;
    return logSerials(this.#folder).find((serial) => serial > this.#at.serial);
  }

  async #goTo(serial: number): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    this.#at = { serial, offset: 0 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }
}

/** The end of what is written now. */
export function logEnd(folder: string): LogPosition {
  const serial = logSerials(folder).at(-1);
  if (serial === undefined) return { serial: 1, offset: 0 };
  const fd = openSync(`${folder}/${logName(serial)}`, 'r');
  try {
    return { serial, offset: fstatSync(fd).size };
  } finally {
    closeSync(fd);
  }
}

const RECORD_HEAD_BYTES = 40;
const TAG_AT = 38;
const LETTER_F = 70;

/** Whether the last line that was written is not finished: a line too, where lines are counted. */
function endsWithin(path: string): boolean {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    const bytes = Buffer.alloc(Math.min(size, LOG_READ_BYTES));
    readSync(fd, bytes, 0, bytes.length, size - bytes.length);
    const record = bytes.lastIndexOf(10, bytes.length - 2) + 1;
    return bytes.length - record >= RECORD_HEAD_BYTES && bytes[record + TAG_AT] !== LETTER_F;
  } finally {
    closeSync(fd);
  }
}

/**
 * Offset in a file where its last `lines` lines begin, and how many there are when they are fewer.
 * @param found - lines behind this file's last whole one.
 */
function tailOfFile(path: string, lines: number, found: number): { offset: number; found: number } {
  const fd = openSync(path, 'r');
  try {
    let rest: Buffer = Buffer.alloc(0);
    for (let end = fstatSync(fd).size; end > 0; ) {
      const start = Math.max(0, end - LOG_READ_BYTES);
      const block = Buffer.alloc(end - start);
      readSync(fd, block, 0, block.length, start);
      const bytes: Buffer = Buffer.concat([block, rest]);
      let recordEnd = bytes.length;
      for (
        let newline = bytes.lastIndexOf(10, recordEnd - 2);
        newline >= 0;
        newline = bytes.lastIndexOf(10, newline - 1)
      ) {
        // A whole line counts where it ends; the parts before it belong to it.
        if (bytes[newline + 1 + TAG_AT] === LETTER_F && ++found > lines)
          return { offset: start + recordEnd, found: lines };
        recordEnd = newline + 1;
        if (newline === 0) break;
      }
      rest = bytes.subarray(0, recordEnd);
      end = start;
    }
    const wholeFirst = rest.length >= RECORD_HEAD_BYTES && rest[TAG_AT] === LETTER_F;
    if (wholeFirst && ++found > lines) return { offset: rest.length, found: lines };
    return { offset: 0, found };
  } finally {
    closeSync(fd);
  }
}

/** Where the last `lines` lines begin, counted from the end over all files. */
export function tailPosition(folder: string, lines: number): LogPosition {
  if (lines <= 0) return logEnd(folder);
  const serials = logSerials(folder);
  let missing = lines;
  let isLast = true;
  for (const serial of serials.toReversed()) {
    const path = `${folder}/${logName(serial)}`;
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    // Rotated away meanwhile, and everything before it too.
    if (size === undefined) break;
    if (size === 0) continue;
    const { offset, found } = tailOfFile(path, missing, isLast && endsWithin(path) ? 1 : 0);
    if (offset > 0) return { serial, offset };
    // Also with none missing: the first line may have begun in the file before.
    missing -= found;
    isLast = false;
  }
  return { serial: serials[0] ?? 1, offset: 0 };
}

/** Calls back whenever something in the log's folder changes. @returns how to stop. */
export function watchLog(folder: string, changed: () => void): () => void {
  const watcher = watch(folder, { persistent: false }, changed);
  watcher.on('error', () => undefined);
  return () => watcher.close();
}

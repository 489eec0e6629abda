/**
 * Lines of a container's log, in the format of the Kubernetes CRI:
 *     2026-11-22T03:13:00.123456789Z stdout F text
 * `F` ends a line, `P` is a part of one that goes on. The head has a fixed width; nothing is searched but ends.
 */

const NEWLINE = 10;
const TIME_CHARS = 30;
/** `o` of stdout, `e` of stderr. */
const STREAM_AT = 34;
const LETTER_E = 101;
const TAG_AT = 38;
const LETTER_P = 80;
const TEXT_AT = 40;

export type OutputStream = 'stdout' | 'stderr';

/** What a reader wants. */
export interface LogFilter {
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** ISO time with nanoseconds, as in the log; lines before it are left out. */
  readonly since?: string;
  /** Lines from then on are left out. */
  readonly until?: string;
}

export interface RawChunk {
  readonly stream: OutputStream;
  readonly data: Buffer;
}

export interface LogEntry {
  readonly stream: OutputStream;
  /** ns since epoch. */
  readonly at: bigint;
  /** Without its newline. */
  readonly line: Buffer;
  /** The line goes on in the next entry of the stream. */
  readonly partial: boolean;
}

/** The time of a log line for ns since epoch: comparable as text. */
export function logTime(ns: bigint): string {
  const seconds = ns / 1_000_000_000n;
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${String(ns % 1_000_000_000n).padStart(9, '0')}Z`;
}

function parseTime(text: string): bigint {
  return BigInt(Date.parse(`${text.slice(0, 19)}Z`)) * 1_000_000n + BigInt(text.slice(20, 29));
}

function isWanted(bytes: Buffer, at: number, filter: LogFilter): boolean {
  if (bytes[at + STREAM_AT] === LETTER_E ? !filter.stderr : !filter.stdout) return false;
  if (filter.since === undefined && filter.until === undefined) return true;
  const time = bytes.toString('latin1', at, at + TIME_CHARS);
  return (
    (filter.since === undefined || time >= filter.since) &&
    (filter.until === undefined || time < filter.until)
  );
}

/** @param visit - of each whole record: where it begins and where its newline is. @returns bytes of whole records. */
function eachRecord(bytes: Buffer, visit: (at: number, newline: number) => void): number {
  let at = 0;
  for (let newline = bytes.indexOf(NEWLINE); newline >= 0; newline = bytes.indexOf(NEWLINE, at)) {
    // Shorter than a head: the remains of a write that found no room.
    if (newline - at >= TEXT_AT) visit(at, newline);
    at = newline + 1;
  }
  return at;
}

/**
 * The output as the process wrote it, neighbours of one stream joined. Text moves up over the heads in front of it:
 * the chunks lie in the input's memory.
 * @returns the chunks, and how many bytes of the input were whole records.
 */
export function toRawChunks(bytes: Buffer, filter: LogFilter): { chunks: RawChunk[]; consumed: number } {
  const chunks: RawChunk[] = [];
  let begin = 0;
  let end = 0;
  let isStderr = false;
  const flush = (): void => {
    if (end > begin)
      chunks.push({ stream: isStderr ? 'stderr' : 'stdout', data: bytes.subarray(begin, end) });
    begin = end;
  };
  const consumed = eachRecord(bytes, (at, newline) => {
    if (!isWanted(bytes, at, filter)) return;
    const fromStderr = bytes[at + STREAM_AT] === LETTER_E;
    if (fromStderr !== isStderr) flush();
    isStderr = fromStderr;
    // The newline of a whole line belongs to the text, the one of a part does not.
    const textEnd = bytes[at + TAG_AT] === LETTER_P ? newline : newline + 1;
    bytes.copyWithin(end, at + TEXT_AT, textEnd);
    end += textEnd - at - TEXT_AT;
  });
  flush();
  return { chunks, consumed };
}

/** The output line by line. @returns the entries, and how many bytes of the input were whole records. */
export function toEntries(bytes: Buffer, filter: LogFilter): { entries: LogEntry[]; consumed: number } {
  const entries: LogEntry[] = [];
  const consumed = eachRecord(bytes, (at, newline) => {
    if (!isWanted(bytes, at, filter)) return;
    entries.push({
      stream: bytes[at + STREAM_AT] === LETTER_E ? 'stderr' : 'stdout',
      at: parseTime(bytes.toString('latin1', at, at + TIME_CHARS)),
      line: bytes.subarray(at + TEXT_AT, newline),
      partial: bytes[at + TAG_AT] === LETTER_P,
    });
  });
  return { entries, consumed };
}

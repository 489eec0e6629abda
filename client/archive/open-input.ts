/** The archive that a command was given: a file, or standard input. */
import { createReadStream, fstatSync, openSync } from 'node:fs';
import { resolve } from 'node:path';
import { UsageError } from '../usage-error.ts';

const STDIN = 0;
/** Larger messages cost less each, and the server holds several at a time; the contract allows up to 3 MiB. */
const CHUNK_BYTES = 256 * 1024;

/** What is read. */
export interface Input {
  readonly fd: number;
  readonly isDirectory: boolean;
  /** Of a regular file; 0n where it is not known. */
  readonly totalBytes: bigint;
  /** A regular file that was named, and what tells it from others of this name. */
  readonly file?: { readonly path: string; readonly device: bigint; readonly inode: bigint };
}

/**
 * @param path - `-` is standard input.
 * @param hint - what would be right, should it not open.
 * @throws UsageError naming the file.
 */
export function openInput(path: string, hint: string): Input {
  const fd = path === '-' ? STDIN : openFile(path, hint);
  const stat = fstatSync(fd, { bigint: true });
  const isNamed = path !== '-' && stat.isFile();
  return {
    fd,
    isDirectory: stat.isDirectory(),
    totalBytes: stat.isFile() ? stat.size : 0n,
    ...(isNamed ? { file: { path: resolve(path), device: stat.dev, inode: stat.ino } } : {}),
  };
}

/** Chunks as they are sent. */
export function inputChunks({ fd }: Input): AsyncIterable<Buffer> {
  return createReadStream('', { fd, autoClose: false, highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>;
}

function openFile(path: string, hint: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`cannot open ${path}: ${code ?? error}`, { hint });
  }
}

/**
 * Turns what was handed in into the bytes of a tar: recognizes the compression by its first bytes, never
 * by a name or a claimed media type.
 */
import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGunzip, createZstdDecompress } from 'node:zlib';
import { archiveError } from './archive-error.ts';
import type { ByteSource } from './byte-source.ts';
import { zstdFrames } from './zstd-frames.ts';

/** How an archive was compressed. */
export type Compression = 'none' | 'gzip' | 'zstd';

/** What is recognized only to be told apart from garbage. */
const UNSUPPORTED: readonly (readonly [name: string, magic: Buffer])[] = [
  ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])],
  ['bzip2', Buffer.from('BZh')],
  ['lz4', Buffer.from([0x04, 0x22, 0x4d, 0x18])],
  ['lzip', Buffer.from('LZIP')],
  ['zip', Buffer.from('PK\x03\x04')],
];

/** Output chunk of a decoder: large, since each costs a trip through the event loop. */
const CHUNK_BYTES = 256 * 1024;
const READ_BYTES = 64 * 1024;
/** Enough for every magic number that is looked for. */
const HEAD_BYTES = 6;

/** Largest window that a zstd frame may ask for, as a power of two: 128 MiB, what `zstd -d` allows too. */
const MAX_WINDOW_LOG = 27;

function detectCompression(head: Buffer): Compression {
  if (head.length === 0) throw archiveError(undefined, 'it is empty', { reason: 'ARCHIVE_TRUNCATED' });
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  const word = head.length >= 4 ? head.readUInt32LE(0) : 0;
  if (word === 0xfd2fb528 || word >>> 4 === 0x184d2a5) return 'zstd';
  for (const [name, magic] of UNSUPPORTED) {
    if (!head.subarray(0, magic.length).equals(magic)) continue;
    throw archiveError(undefined, `it is compressed with ${name}, which is not supported`, {
      reason: 'ARCHIVE_UNKNOWN_FORMAT',
      hint: 'decompress it first, or compress it with gzip or zstd',
    });
  }
  return 'none';
}

/**
 * How an archive is compressed, and its uncompressed bytes.
 * @param source - positioned at its beginning; read to its end, so that its hash covers all of it.
 * @throws MydockerError `invalid-argument`: ARCHIVE_UNKNOWN_FORMAT for a compression that is not supported;
 * ARCHIVE_TRUNCATED, ARCHIVE_INVALID while the bytes are read.
 */
export async function decompress(
  source: ByteSource,
): Promise<{ compression: Compression; bytes: AsyncGenerator<Buffer, void, undefined> }> {
  const head = (await source.read(HEAD_BYTES)) ?? Buffer.alloc(0);
  const compression = detectCompression(head);
  source.unread(head);
  return { compression, bytes: DECODERS[compression](source) };
}

const DECODERS: Readonly<
  Record<Compression, (source: ByteSource) => AsyncGenerator<Buffer, void, undefined>>
> = {
  none: (source) => source.remaining(READ_BYTES),
  gzip: (source) => decode(source.remaining(READ_BYTES), createGunzip({ chunkSize: CHUNK_BYTES })),
  zstd: decodeFrames,
};

async function* decodeFrames(source: ByteSource): AsyncGenerator<Buffer, void, undefined> {
  for await (const frame of zstdFrames(source)) {
    const params = { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG };
    yield* decode(frame, createZstdDecompress({ chunkSize: CHUNK_BYTES, params }));
  }
}

async function* decode(
  input: AsyncIterable<Buffer>,
  decoder: Transform,
): AsyncGenerator<Buffer, void, undefined> {
  const fed = pipeline(Readable.from(input, { objectMode: false }), decoder);
  // The same failure ends the decoder, where it is seen; here it would count as unhandled.
  fed.catch(() => undefined);
  try {
    for await (const chunk of decoder) yield chunk as Buffer;
    await fed;
  } catch (error) {
    throw decodeError(error);
  }
}

function decodeError(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!/^(?:Z_|ZSTD_|ERR_ZLIB)/.test(code)) return error;
  if (code === 'Z_BUF_ERROR') {
    return archiveError(undefined, 'its compressed data ends too early', {
      reason: 'ARCHIVE_TRUNCATED',
      hint: 'the file or the transfer was cut off; get it again',
      cause: error,
    });
  }
  const why = error instanceof Error ? error.message : code;
  return archiveError(undefined, `its compressed data is damaged: ${why}`, { cause: error });
}

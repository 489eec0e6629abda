/**
 * Cuts a zstd stream into its frames. Node's decoder stops after the first frame and says nothing, so that
 * the output of parallel compressors, which write many, would be cut off silently.
 * Source: RFC 8878, section 3.
 */
import { archiveError } from './archive-error.ts';
import type { ByteSource } from './byte-source.ts';

const MAGIC = 0xfd2fb528;
/** 16 magics mark a frame whose content is to be skipped. */
const SKIPPABLE = 0x184d2a50;
const MAX_BLOCK_BYTES = 128 * 1024;

/** A frame with content: its bytes in pieces. */
export type ZstdFrame = AsyncGenerator<Buffer, void, undefined>;

/**
 * Frames of a stream in order; skippable ones are left out. Each must be read to its end before the next.
 * @throws MydockerError `invalid-argument` for what is no zstd, a cut-off frame, or one that needs a dictionary.
 */
export async function* zstdFrames(source: ByteSource): AsyncGenerator<ZstdFrame, void, undefined> {
  for (;;) {
    const bytes = await source.read(4);
    if (bytes === undefined) return;
    const magic = bytes.readUInt32LE(0);
    if (magic >>> 4 === SKIPPABLE >>> 4) {
      await source.skip((await source.readExactly(4)).readUInt32LE(0));
    } else if (magic === MAGIC) {
      yield frame(source, Buffer.from(bytes));
    } else {
      throw archiveError(undefined, 'it is damaged: what follows a zstd frame is none');
    }
  }
}

async function* frame(source: ByteSource, magic: Buffer): ZstdFrame {
  const descriptor = (await source.readExactly(1))[0] ?? 0;
  const singleSegment = (descriptor & 0x20) !== 0;
  const checksum = (descriptor & 0x04) !== 0;
  if ((descriptor & 0x03) !== 0) throw archiveError(undefined, 'its zstd compression needs a dictionary');
  const sizeField = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6] ?? 0;
  const rest = await source.readExactly((singleSegment ? 0 : 1) + sizeField);
  yield Buffer.concat([magic, Buffer.of(descriptor), rest]);
  for (let last = false; !last; ) {
    const header = Buffer.from(await source.readExactly(3));
    const value = header.readUIntLE(0, 3);
    last = (value & 1) !== 0;
    // A run-length block stores one byte whatever its size says.
    const size = ((value >>> 1) & 3) === 1 ? 1 : value >>> 3;
    if (size > MAX_BLOCK_BYTES) throw archiveError(undefined, 'it is damaged: a zstd block is too large');
    yield Buffer.concat([header, await source.readExactly(size)]);
  }
  if (checksum) yield Buffer.from(await source.readExactly(4));
}

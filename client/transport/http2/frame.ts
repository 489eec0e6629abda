/**
 * Frames of HTTP/2 on the wire:
 *
 *     u24 length · u8 type · u8 flags · u31 stream id · payload
 *
 * Source: RFC 9113, sections 4 and 6.
 */

const HEADER_BYTES = 9;

/** Longest payload that either side may send unless it is told otherwise. */
export const DEFAULT_FRAME_BYTES = 16_384;

export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

/** END_STREAM and ACK share a bit, as they belong to different frames. */
export const Flag = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 32 } as const;

export const Setting = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
} as const;

/** Why a stream or the connection ends. */
export const ErrorCode = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  ENHANCE_YOUR_CALM: 11,
} as const;

/** One frame as received. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** A frame's header; the payload is sent behind it. */
export function frameHeader(type: number, flags: number, streamId: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUIntBE(length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId, 5);
  return header;
}

/** A whole frame. */
export function encodeFrame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  return Buffer.concat([frameHeader(type, flags, streamId, payload.length), payload]);
}

/** A frame whose payload is one number of 32 bits. */
export function encodeNumberFrame(type: number, streamId: number, value: number): Buffer {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(value);
  return encodeFrame(type, 0, streamId, payload);
}

/** A SETTINGS frame. */
export function encodeSettings(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.allocUnsafe(settings.length * 6);
  settings.forEach(([id, value], index) => {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  });
  return encodeFrame(FrameType.SETTINGS, 0, 0, payload);
}

/** Settings by id. */
export function decodeSettings(payload: Buffer): Map<number, number> {
  const settings = new Map<number, number>();
  for (let at = 0; at + 6 <= payload.length; at += 6) {
    settings.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
  }
  return settings;
}

/** The payload without padding and priority, which HEADERS and DATA may have. @throws Error when they lie. */
export function withoutPadding({ type, flags, payload }: Frame): Buffer {
  const padded = (flags & Flag.PADDED) !== 0;
  const start = (padded ? 1 : 0) + (type === FrameType.HEADERS && (flags & Flag.PRIORITY) !== 0 ? 5 : 0);
  const end = payload.length - (padded ? (payload[0] ?? 0) : 0);
  if (start > end) throw new Error('a frame is all padding');
  return payload.subarray(start, end);
}

/** Cuts a byte stream into frames; their payloads share its memory. */
export class FrameSplitter {
  #rest: Buffer = Buffer.alloc(0);

  /** @throws Error for a frame longer than {@link DEFAULT_FRAME_BYTES}, which nobody has allowed. */
  *split(chunk: Buffer): Generator<Frame> {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (at + HEADER_BYTES <= bytes.length) {
      const length = bytes.readUIntBE(at, 3);
      if (length > DEFAULT_FRAME_BYTES) throw new Error('it does not speak HTTP/2');
      const end = at + HEADER_BYTES + length;
      if (end > bytes.length) break;
      yield {
        type: bytes[at + 3] ?? 0,
        flags: bytes[at + 4] ?? 0,
        streamId: bytes.readUInt32BE(at + 5) & 0x7fffffff,
        payload: bytes.subarray(at + HEADER_BYTES, end),
      };
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }
}

/**
 * Messages on a byte stream, as gRPC frames them:
 *
 *     u8 compressed (always 0) · u32 length, big endian · message
 *
 * Source: grpc/doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message".
 */

const HEADER_BYTES = 5;

/** Longest message that is read, in bytes. The contract promises 4 MiB. */
export const MAX_MESSAGE_BYTES: number = 16 << 20;

/** A message with its header, in one piece. */
export function encodeMessage(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, HEADER_BYTES);
  return frame;
}

/** Cuts a byte stream into messages. */
export class MessageReader {
  #chunks: Buffer[] = [];
  #size = 0;
  /** Size of header and message that are being collected; the header's alone until it is there. */
  #wanted = HEADER_BYTES;
  #hasHeader = false;

  /** Bytes of a message that is not complete. */
  get pendingBytes(): number {
    return this.#size;
  }

  /**
   * Takes the next bytes.
   * @returns the messages that are complete now; they share the chunks' memory where they can.
   * @throws Error for a compressed message or one longer than {@link MAX_MESSAGE_BYTES}.
   */
  *read(chunk: Buffer): Generator<Uint8Array> {
    let rest = chunk;
    for (;;) {
      const missing = this.#wanted - this.#size;
      if (rest.length < missing) {
        if (rest.length > 0) this.#chunks.push(rest);
        this.#size += rest.length;
        return;
      }
      this.#chunks.push(rest.subarray(0, missing));
      rest = rest.subarray(missing);
      const whole = this.#take();
      if (this.#hasHeader) yield this.#message(whole);
      else this.#begin(whole);
    }
  }

  #begin(header: Buffer): void {
    const length = header.readUInt32BE(1);
    if (header[0] !== 0) throw new Error('the server sent a compressed message');
    if (length > MAX_MESSAGE_BYTES) throw new Error(`the server sent a message of ${length} bytes`);
    this.#hasHeader = true;
    this.#wanted = length;
  }

  #message(body: Buffer): Uint8Array {
    this.#hasHeader = false;
    this.#wanted = HEADER_BYTES;
    return body;
  }

  #take(): Buffer {
    const [first] = this.#chunks;
    const whole = this.#chunks.length === 1 && first ? first : Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#size = 0;
    return whole;
  }
}

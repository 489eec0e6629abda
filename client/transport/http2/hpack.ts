/**
 * Header blocks of HTTP/2, as much of them as gRPC on one machine needs: requests are written without compression,
 * responses are read with the static table and Huffman's code. The dynamic table is switched off by our settings.
 * Source: RFC 7541.
 */

/** Names and values in order. Names are lower case. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/** Appendix A: the fields that have a value, then names only. */
const STATIC_TABLE: HeaderList = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  ...['200', '204', '206', '304', '400', '404', '500'].map((code) => [':status', code] as const),
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ...(
    'accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control ' +
    'content-disposition content-encoding content-language content-length content-location content-range ' +
    'content-type cookie date etag expect expires from host if-match if-modified-since if-none-match if-range ' +
    'if-unmodified-since last-modified link location max-forwards proxy-authenticate proxy-authorization range ' +
    'referer refresh retry-after server set-cookie strict-transport-security transfer-encoding user-agent vary via ' +
    'www-authenticate'
  )
    .split(' ')
    .map((name) => [name, ''] as const),
];

/**
 * Appendix B: the symbols of each length of code, in the order of their codes. The code is canonical, so the lengths
 * say it all. Longer ones belong to bytes that no header of gRPC holds.
 */
const SYMBOLS: ReadonlyMap<number, string> = new Map([
  [5, '012aceiost'],
  [6, ' %-./3456789=A_bdfghlmnpru'],
  [7, ':BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz'],
  [8, '&*,;XZ'],
  [10, '!"()?'],
  [11, "'+|"],
  [12, '#>'],
  [13, '\0$@[]~'],
  [14, '^}'],
  [15, '<`{'],
  [19, '\\'],
]);
const LONGEST_CODE = 19;

/** A header block of fields that nobody shall remember: literals without compression. */
export function encodeHeaders(headers: HeaderList): Buffer {
  return Buffer.concat(
    headers.flatMap(([name, value]) => [Buffer.of(0), encodeText(name), encodeText(value)]),
  );
}

function encodeText(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  return Buffer.concat([encodeInteger(bytes.length), bytes]);
}

/** An integer with a prefix of 7 bits, section 5.1. */
function encodeInteger(value: number): Buffer {
  if (value < 127) return Buffer.of(value);
  const bytes = [127];
  let rest = value - 127;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

/**
 * The fields of a header block.
 * @throws Error when it ends early or uses what was not agreed on.
 */
export function decodeHeaders(block: Buffer): [name: string, value: string][] {
  const reader = new BlockReader(block);
  const headers: [string, string][] = [];
  while (!reader.done) {
    const first = reader.peek();
    if (first >= 128) {
      const [name, value] = staticField(reader.integer(7));
      headers.push([name, value]);
    } else if (first >= 32 && first < 64) {
      // A change of the dynamic table's size, which can only be to 0.
      reader.integer(5);
    } else {
      const index = reader.integer(first >= 64 ? 6 : 4);
      const name = index === 0 ? reader.text() : staticField(index)[0];
      headers.push([name, reader.text()]);
    }
  }
  return headers;
}

function staticField(index: number): readonly [string, string] {
  const field = STATIC_TABLE[index - 1];
  if (field === undefined) throw new Error(`a header refers to field ${index}, which there is not`);
  return field;
}

/** Reads the parts of a header block in order. */
class BlockReader {
  readonly #block: Buffer;
  #at = 0;

  constructor(block: Buffer) {
    this.#block = block;
  }

  get done(): boolean {
    return this.#at >= this.#block.length;
  }

  peek(): number {
    return this.#block[this.#at] ?? 0;
  }

  /** An integer with a prefix of so many bits, section 5.1. */
  integer(prefixBits: number): number {
    const most = (1 << prefixBits) - 1;
    let value = this.#byte() & most;
    if (value < most) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.#byte();
      value += (byte & 127) << shift;
      if (byte < 128) return value;
    }
    throw new Error('a number in a header is too large');
  }

  text(): string {
    const compressed = this.peek() >= 128;
    const length = this.integer(7);
    const bytes = this.#block.subarray(this.#at, this.#at + length);
    if (bytes.length < length) throw new Error('a header ends early');
    this.#at += length;
    return compressed ? decodeHuffman(bytes) : bytes.toString('latin1');
  }

  #byte(): number {
    if (this.done) throw new Error('a header ends early');
    const byte = this.peek();
    this.#at += 1;
    return byte;
  }
}

/** Text in Huffman's code. Within a length codes are consecutive, so a code is known by its distance to the first. */
function decodeHuffman(bytes: Buffer): string {
  let text = '';
  let code = 0;
  let first = 0;
  let length = 0;
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    code = (code << 1) | (((bytes[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1);
    length += 1;
    const symbols = SYMBOLS.get(length) ?? '';
    const symbol = symbols[code - (first << 1)];
    first = (first << 1) + symbols.length;
    if (symbol !== undefined) {
      text += symbol;
      code = first = length = 0;
    } else if (length >= LONGEST_CODE) throw new Error('a header holds bytes that are no text');
  }
  // What is left is padding: fewer than 8 bits, all ones.
  if (length > 7 || code !== (1 << length) - 1) throw new Error('a header ends within a character');
  return text;
}

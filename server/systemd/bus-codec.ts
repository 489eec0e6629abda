/**
 * Values as bytes and back, in the wire format of D-Bus: the types that systemd's calls need. Every value lies at a
 * multiple of its type's size, counted from the message's beginning.
 * Source: D-Bus specification, "Marshaling (Wire Format)".
 */
import type { BusValue, BusVariant } from '../model/unit.ts';

/** Of what a value begins at a multiple; structures and entries of maps at 8. */
const ALIGNMENT: Readonly<Record<string, number>> = {
  ...{ y: 1, g: 1, v: 1 },
  ...{ b: 4, i: 4, u: 4, s: 4, o: 4, a: 4 },
  ...{ x: 8, t: 8, '(': 8, '{': 8 },
};
/** The specification's. */
const MAX_DEPTH = 32;

const unknown = (type: string): Error => new Error(`D-Bus type ${JSON.stringify(type)} is not known here`);

function alignmentOf(type: string): number {
  const found = ALIGNMENT[type[0] ?? ''];
  if (found === undefined) throw unknown(type);
  return found;
}

const CLOSING: Readonly<Record<string, string>> = { '(': ')', '{': '}' };

/** Where the complete type that begins at `from` ends. */
function endOfType(signature: string, from: number): number {
  const first = signature[from] ?? '';
  if (first === 'a') return endOfType(signature, from + 1);
  const closing = CLOSING[first];
  if (closing === undefined) {
    alignmentOf(first);
    return from + 1;
  }
  let at = from + 1;
  while (signature[at] !== closing) {
    if (at >= signature.length) throw unknown(signature);
    at = endOfType(signature, at);
  }
  return at + 1;
}

/** Complete types of a signature: `a(ss)`, `u`. */
export function splitSignature(signature: string): string[] {
  const types: string[] = [];
  for (let at = 0; at < signature.length; ) {
    const end = endOfType(signature, at);
    types.push(signature.slice(at, end));
    at = end;
  }
  return types;
}

/** Bytes that grow; as long as what was written. */
class Writer {
  #bytes: Buffer = Buffer.alloc(512);
  length = 0;

  /** @returns where they begin; zeroes up to the next multiple and in them. */
  take(count: number, multiple: number): number {
    const at = Math.ceil(this.length / multiple) * multiple;
    this.length = at + count;
    if (this.length > this.#bytes.length)
      this.#bytes = Buffer.concat([this.#bytes], 2 ** Math.ceil(Math.log2(this.length)));
    return at;
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  done(): Buffer {
    return this.#bytes.subarray(0, this.length);
  }
}

function text(writer: Writer, value: string): void {
  if (value.includes('\0')) throw new Error('a text with a zero byte cannot be sent over D-Bus');
  const size = Buffer.byteLength(value);
  const at = writer.take(4 + size + 1, 4);
  writer.bytes.writeUInt32LE(size, at);
  writer.bytes.write(value, at + 4);
}

function signatureText(writer: Writer, value: string): void {
  const at = writer.take(1 + value.length + 1, 1);
  writer.bytes.writeUInt8(value.length, at);
  writer.bytes.write(value, at + 1);
}

function list(writer: Writer, element: string, values: readonly BusValue[]): void {
  const at = writer.take(4, 4);
  const from = writer.take(0, alignmentOf(element));
  for (const value of values) put(writer, element, value);
  // Not counted: what comes before the first element.
  writer.bytes.writeUInt32LE(writer.length - from, at);
}

function put(writer: Writer, type: string, value: BusValue): void {
  switch (type[0]) {
    case 'y':
      writer.bytes.writeUInt8(value as number, writer.take(1, 1));
      return;
    case 'b':
      writer.bytes.writeUInt32LE(value === true ? 1 : 0, writer.take(4, 4));
      return;
    case 'u':
      writer.bytes.writeUInt32LE(value as number, writer.take(4, 4));
      return;
    case 'i':
      writer.bytes.writeInt32LE(value as number, writer.take(4, 4));
      return;
    case 't':
      writer.bytes.writeBigUInt64LE(value as bigint, writer.take(8, 8));
      return;
    case 'x':
      writer.bytes.writeBigInt64LE(value as bigint, writer.take(8, 8));
      return;
    case 's':
    case 'o':
      text(writer, value as string);
      return;
    case 'g':
      signatureText(writer, value as string);
      return;
    case 'v': {
      const variant = value as BusVariant;
      signatureText(writer, variant.signature);
      put(writer, variant.signature, variant.value);
      return;
    }
    case 'a':
      list(writer, type.slice(1), value as readonly BusValue[]);
      return;
    case '(':
    case '{': {
      writer.take(0, 8);
      for (const [index, inner] of splitSignature(type.slice(1, -1)).entries())
        put(writer, inner, (value as readonly BusValue[])[index] ?? '');
      return;
    }
    default:
      throw unknown(type);
  }
}

/**
 * @param values - one for each complete type of the signature.
 * @throws Error for a type that is not known here.
 */
export function encodeBody(signature: string, values: readonly BusValue[]): Buffer {
  const writer = new Writer();
  for (const [index, type] of splitSignature(signature).entries()) put(writer, type, values[index] ?? '');
  return writer.done();
}

/** Where a reader is. */
interface Reader {
  readonly bytes: Buffer;
  at: number;
  /** Where what may be read ends. */
  end: number;
}

function skip(reader: Reader, count: number, multiple: number): number {
  const at = Math.ceil(reader.at / multiple) * multiple;
  if (at + count > reader.end) throw new Error('a D-Bus message ends before its values do');
  reader.at = at + count;
  return at;
}

function readText(reader: Reader, size: number): string {
  const at = skip(reader, size + 1, 1);
  return reader.bytes.toString('utf8', at, at + size);
}

function readList(reader: Reader, element: string, depth: number): BusValue[] {
  const size = reader.bytes.readUInt32LE(skip(reader, 4, 4));
  const from = skip(reader, 0, alignmentOf(element));
  const outer = reader.end;
  skip(reader, size, 1);
  reader.at = from;
  reader.end = from + size;
  const values: BusValue[] = [];
  while (reader.at < reader.end) values.push(get(reader, element, depth));
  reader.end = outer;
  return values;
}

function get(reader: Reader, type: string, depth: number): BusValue {
  if (depth > MAX_DEPTH) throw new Error('a D-Bus message is nested too deeply');
  switch (type[0]) {
    case 'y':
      return reader.bytes.readUInt8(skip(reader, 1, 1));
    case 'b':
      return reader.bytes.readUInt32LE(skip(reader, 4, 4)) !== 0;
    case 'u':
      return reader.bytes.readUInt32LE(skip(reader, 4, 4));
    case 'i':
      return reader.bytes.readInt32LE(skip(reader, 4, 4));
    case 't':
      return reader.bytes.readBigUInt64LE(skip(reader, 8, 8));
    case 'x':
      return reader.bytes.readBigInt64LE(skip(reader, 8, 8));
    case 's':
    case 'o':
      return readText(reader, reader.bytes.readUInt32LE(skip(reader, 4, 4)));
    case 'g':
      return readText(reader, reader.bytes.readUInt8(skip(reader, 1, 1)));
    case 'v': {
      const signature = readText(reader, reader.bytes.readUInt8(skip(reader, 1, 1)));
      const [inner = '', ...more] = splitSignature(signature);
      if (more.length > 0) throw unknown(signature);
      return { signature, value: get(reader, inner, depth + 1) };
    }
    case 'a':
      return readList(reader, type.slice(1), depth + 1);
    case '(':
    case '{': {
      skip(reader, 0, 8);
      return splitSignature(type.slice(1, -1)).map((inner) => get(reader, inner, depth + 1));
    }
    default:
      throw unknown(type);
  }
}

/**
 * @returns a value for each complete type.
 * @throws Error for bytes that do not hold them, or a type that is not known here.
 */
export function decodeBody(signature: string, bytes: Buffer): BusValue[] {
  const reader: Reader = { bytes, at: 0, end: bytes.length };
  return splitSignature(signature).map((type) => get(reader, type, 0));
}

/**
 * As much of DNS as answers with names of containers need: one question is read, addresses and names are written,
 * everything else is passed on unread. Source: RFC 1035 section 4, RFC 3596.
 */
import { type Address, addressBytes } from './ip.ts';

export const DNS_TYPE = { a: 1, ptr: 12, aaaa: 28, any: 255 } as const;
export const DNS_CODE = {
  ok: 0,
  formatError: 1,
  serverFailure: 2,
  noSuchName: 3,
  unimplemented: 4,
  refused: 5,
} as const;

const HEADER_BYTES = 12;
const CLASS_IN = 1;
/** Bits of the second 16 of a message. */
const FLAG = {
  response: 0x8000,
  authoritative: 0x0400,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
} as const;
const OPCODE_MASK = 0x7800;
/** A name in an answer that is the question's own: a pointer to where that begins. */
const SAME_NAME = 0xc000 | HEADER_BYTES;
const MAX_LABEL_BYTES = 63;
const MAX_NAME_BYTES = 255;
/** Answers are small enough for every resolver without more ado. */
const MAX_ANSWERS = 16;
/** An answer is forgotten soon: containers come and go. */
const TTL_SECONDS = 5;

/** The one question of a query. */
export interface Question {
  /** Lower case, without the last dot. */
  readonly name: string;
  readonly type: number;
  readonly isInternet: boolean;
  /** Offset behind the question. */
  readonly end: number;
}

/** What a query is. */
export type Query =
  | { readonly kind: 'question'; readonly question: Question }
  /** An answer, or less than a header: nobody is to be answered. */
  | { readonly kind: 'none' }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'other' };

/** Never throws. */
export function readQuery(message: Buffer): Query {
  if (message.length < HEADER_BYTES) return { kind: 'none' };
  const flags = message.readUInt16BE(2);
  if ((flags & FLAG.response) !== 0) return { kind: 'none' };
  if ((flags & OPCODE_MASK) !== 0) return { kind: 'other' };
  if (message.readUInt16BE(4) !== 1) return { kind: 'malformed' };
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (;;) {
    const length = message[at];
    // Questions are not compressed: the first name there is is this one.
    if (length === undefined || length > MAX_LABEL_BYTES) return { kind: 'malformed' };
    if (length === 0) break;
    labels.push(message.toString('latin1', at + 1, at + 1 + length).toLowerCase());
    at += 1 + length;
    if (at - HEADER_BYTES >= MAX_NAME_BYTES || at >= message.length) return { kind: 'malformed' };
  }
  if (at + 5 > message.length) return { kind: 'malformed' };
  const question = {
    name: labels.join('.'),
    type: message.readUInt16BE(at + 1),
    isInternet: message.readUInt16BE(at + 3) === CLASS_IN,
    end: at + 5,
  };
  return { kind: 'question', question };
}

function withHeader(query: Buffer, code: number, body: Buffer, answers: number, own: boolean): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  const asked = query.readUInt16BE(2) & (FLAG.recursionDesired | OPCODE_MASK);
  header.writeUInt16BE(
    FLAG.response | FLAG.recursionAvailable | (own ? FLAG.authoritative : 0) | asked | code,
    2,
  );
  header.writeUInt16BE(body.length === 0 ? 0 : 1, 4);
  header.writeUInt16BE(answers, 6);
  return Buffer.concat([header, body]);
}

/** An answer without records. @param query - at least a header. */
export function refusal(query: Buffer, code: number): Buffer {
  const read = readQuery(query);
  const body = read.kind === 'question' ? query.subarray(HEADER_BYTES, read.question.end) : Buffer.alloc(0);
  return withHeader(query, code, body, 0, false);
}

function record(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(SAME_NAME, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(CLASS_IN, 4);
  head.writeUInt32BE(TTL_SECONDS, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function nameBytes(name: string): Buffer {
  const labels = name.split('.').flatMap((label) => {
    const bytes = Buffer.from(label, 'latin1').subarray(0, MAX_LABEL_BYTES);
    return [Buffer.from([bytes.length]), bytes];
  });
  return Buffer.concat([...labels, Buffer.from([0])]);
}

/** The addresses that were asked for; of the other family none, which says that the name is there. */
export function addressAnswer(query: Buffer, { end, type }: Question, addresses: readonly Address[]): Buffer {
  const family = { [DNS_TYPE.a]: 4, [DNS_TYPE.aaaa]: 6 }[type];
  const records = addresses
    .filter((address) => address.family === family)
    .slice(0, MAX_ANSWERS)
    .map((address) => record(type, addressBytes(address)));
  return withHeader(
    query,
    DNS_CODE.ok,
    Buffer.concat([query.subarray(HEADER_BYTES, end), ...records]),
    records.length,
    true,
  );
}

/** The name that an address has. */
export function nameAnswer(query: Buffer, { end }: Question, name: string): Buffer {
  const body = Buffer.concat([query.subarray(HEADER_BYTES, end), record(DNS_TYPE.ptr, nameBytes(name))]);
  return withHeader(query, DNS_CODE.ok, body, 1, true);
}

/** The address whose name is asked for: `2.30.20.10.in-addr.arpa`. @returns undefined for any other name. */
export function reverseAddress(name: string): string | undefined {
  const v4 = /^(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})\.in-addr\.arpa$/.exec(name)?.[1];
  if (v4 !== undefined) return v4.split('.').reverse().join('.');
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name)?.[1];
  const digits = v6?.replaceAll('.', '').split('').reverse().join('');
  return digits?.replace(/(.{4})(?!$)/g, '$1:');
}

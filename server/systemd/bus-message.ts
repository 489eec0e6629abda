/**
 * Messages of D-Bus: a header with fields by number, padded to 8, then the values. Little-endian, as everything here is.
 * Source: D-Bus specification, "Message Format".
 */
import type { BusValue, BusVariant } from '../model/unit.ts';
import { decodeBody, encodeBody } from './bus-codec.ts';

/** Kinds of messages. */
export const MESSAGE_TYPE = { call: 1, reply: 2, error: 3, signal: 4 } as const;

const FIELD = {
  path: 1,
  interface: 2,
  member: 3,
  errorName: 4,
  replySerial: 5,
  destination: 6,
  sender: 7,
  signature: 8,
} as const;

const LITTLE_ENDIAN = 'l'.charCodeAt(0);
const PROTOCOL = 1;
/** Type, flags, version, length, serial, length of the fields. */
const FIXED_BYTES = 16;
/** The specification allows 128 MiB; systemd's answers to what is asked here are below a kilobyte. */
const MESSAGE_MAX_BYTES = 1 << 20;

/** What is called, and with what. */
export interface BusCall {
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  /** Absent where there is nobody else on the connection. */
  readonly destination?: string;
  /** Default: none. */
  readonly signature?: string;
  readonly body?: readonly BusValue[];
}

/** What came. */
export interface BusMessage {
  readonly type: number;
  readonly serial: number;
  readonly replySerial: number;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly errorName: string;
  readonly sender: string;
  readonly signature: string;
  /** Not decoded: most signals are nobody's business. */
  readonly bodyBytes: Buffer;
}

/** @param serial - above 0, each once on a connection. */
export function encodeCall(serial: number, call: BusCall): Buffer {
  const { signature = '', body = [] } = call;
  const values = encodeBody(signature, body);
  const fields: [number, BusVariant][] = [
    [FIELD.path, { signature: 'o', value: call.path }],
    [FIELD.interface, { signature: 's', value: call.interface }],
    [FIELD.member, { signature: 's', value: call.member }],
  ];
  if (call.destination !== undefined)
    fields.push([FIELD.destination, { signature: 's', value: call.destination }]);
  if (signature !== '') fields.push([FIELD.signature, { signature: 'g', value: signature }]);
  const head = encodeBody('yyyyuua(yv)', [
    ...[LITTLE_ENDIAN, MESSAGE_TYPE.call, 0, PROTOCOL, values.length, serial],
    fields,
  ]);
  return Buffer.concat([head, Buffer.alloc(-head.length & 7), values]);
}

/**
 * How long the message is that these bytes begin with.
 * @returns undefined where there are too few bytes to know.
 * @throws Error for what is no message, or too large a one.
 */
export function messageLength(bytes: Buffer): number | undefined {
  if (bytes.length < FIXED_BYTES) return undefined;
  if (bytes.readUInt8(0) !== LITTLE_ENDIAN || bytes.readUInt8(3) !== PROTOCOL)
    throw new Error('this is no D-Bus message of this machine');
  const head = FIXED_BYTES + bytes.readUInt32LE(12);
  const length = head + (-head & 7) + bytes.readUInt32LE(4);
  if (length > MESSAGE_MAX_BYTES) throw new Error(`a D-Bus message of ${length} bytes is too large`);
  return length;
}

/**
 * @param bytes - one whole message.
 * @throws Error for what is none.
 */
export function decodeMessage(bytes: Buffer): BusMessage {
  const [, type, , , bodyLength, serial, fields] = decodeBody('yyyyuua(yv)', bytes) as [
    ...[number, number, number, number, number, number],
    [number, BusVariant][],
  ];
  const values = new Map(fields.map(([field, { value }]) => [field, value]));
  const text = (field: number): string => String(values.get(field) ?? '');
  return {
    type,
    serial,
    replySerial: Number(values.get(FIELD.replySerial) ?? 0),
    path: text(FIELD.path),
    interface: text(FIELD.interface),
    member: text(FIELD.member),
    errorName: text(FIELD.errorName),
    sender: text(FIELD.sender),
    signature: text(FIELD.signature),
    bodyBytes: bytes.subarray(bytes.length - bodyLength),
  };
}

/**
 * The records that server and shim exchange, as bytes. shim/wire.h is the other owner and draws the format;
 * both change together, with the version.
 */

export const WIRE_VERSION = 1;
export const MESSAGE_BYTES = 32;
export const FRAME_BYTES = 32;
const LAUNCH_MAGIC = 0x434e4c4d;

/** Server to shim. */
export const REQUEST = {
  commit: 1,
  answer: 2,
  start: 3,
  signal: 4,
  resize: 5,
  closeStdin: 6,
  reopenLog: 7,
  status: 8,
} as const;

/** Shim to server. */
export const NOTICE = {
  reply: 64,
  created: 65,
  started: 66,
  failed: 67,
  ask: 68,
  exited: 69,
  parked: 70,
} as const;

/** `failed.section` outside the plan, and what `failed.index` then says. */
export const FAILED_LAUNCH = 4;
export const LAUNCH_STEPS = [
  'fork a shim',
  'read the plan',
  'clone the process',
  'open the run folder',
  'set up the process',
] as const;

export interface Message {
  readonly type: number;
  readonly seq: number;
  readonly a: number;
  readonly b: number;
  readonly x: bigint;
  readonly y: bigint;
}

export function encodeMessage(type: number, seq: number, a = 0, b = 0): Buffer {
  const bytes = Buffer.alloc(MESSAGE_BYTES);
  bytes.writeUInt16LE(type, 0);
  bytes.writeUInt16LE(WIRE_VERSION, 2);
  bytes.writeUInt32LE(seq, 4);
  bytes.writeInt32LE(a, 8);
  bytes.writeInt32LE(b, 12);
  return bytes;
}

/** @param bytes - MESSAGE_BYTES of them. */
export function decodeMessage(bytes: Buffer): Message {
  return {
    type: bytes.readUInt16LE(0),
    seq: bytes.readUInt32LE(4),
    a: bytes.readInt32LE(8),
    b: bytes.readInt32LE(12),
    x: bytes.readBigUInt64LE(16),
    y: bytes.readBigUInt64LE(24),
  };
}

export const FOUND_FLAG = { looked: 1, mayExecute: 2, noexec: 4, read: 8 } as const;
/** Bytes of a found record before its head, and most bytes of the head. */
export const FOUND_BYTES = 24;
export const FOUND_HEAD_MAX = 4096;

/** What stands at the path of a program that could not be executed, as its own user saw it. */
export interface Found {
  /** Index among the paths that were tried; absent: there is nothing at any of them. */
  readonly path?: number;
  /** File type and permission bits, as stat(2) has them. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Mode and mount let the user execute it. */
  readonly mayExecute: boolean;
  /** The mount lets nobody execute anything. */
  readonly noexec: boolean;
  /** First bytes of a file, target of a symbolic link that leads nowhere; absent where it may not be read. */
  readonly head?: Buffer;
}

/** @param bytes - what follows a `failed` record, whole; the head is copied. */
export function decodeFound(bytes: Buffer): Found {
  const path = bytes.readInt32LE(0);
  const flags = bytes.readUInt32LE(16);
  return {
    ...(path < 0 ? {} : { path }),
    mode: bytes.readUInt32LE(4),
    uid: bytes.readUInt32LE(8),
    gid: bytes.readUInt32LE(12),
    mayExecute: (flags & FOUND_FLAG.mayExecute) !== 0,
    noexec: (flags & FOUND_FLAG.noexec) !== 0,
    ...((flags & FOUND_FLAG.read) === 0 ? {} : { head: Buffer.from(bytes.subarray(FOUND_BYTES)) }),
  };
}

/** Bytes that follow a record: those of a found one, or none. */
export function followingBytes({ type, y }: Message): number {
  const length = Number(y);
  const isFound = length >= FOUND_BYTES && length <= FOUND_BYTES + FOUND_HEAD_MAX;
  return type === NOTICE.failed && isFound ? length : 0;
}

/** What goes to the zygote, or to a parked shim, beside the descriptors. */
export function encodeLaunchRequest(descriptors: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(LAUNCH_MAGIC, 0);
  bytes.writeUInt16LE(WIRE_VERSION, 4);
  bytes.writeUInt16LE(descriptors, 6);
  return bytes;
}

export const STREAM = { stdin: 0, stdout: 1, stderr: 2, hello: 3, end: 4 } as const;
export const ATTACH_FLAG = { stdout: 1, stderr: 2, stdin: 4, stdinOnce: 8 } as const;

/** A place in a container's log: file by serial, byte in it. */
export interface LogPosition {
  readonly serial: number;
  readonly offset: number;
}

export interface Frame {
  readonly stream: number;
  readonly length: number;
  /** Where these bytes stand in the log; serial 0: there is no log. */
  readonly from: LogPosition;
  readonly to: LogPosition;
}

export function encodeFrame(stream: number, length: number, flags = 0): Buffer {
  const bytes = Buffer.alloc(FRAME_BYTES);
  bytes.writeUInt8(stream, 0);
  bytes.writeUInt8(flags, 1);
  bytes.writeUInt32LE(length, 4);
  return bytes;
}

/** @param bytes - at least FRAME_BYTES from `at` on. */
export function decodeFrame(bytes: Buffer, at: number): Frame {
  return {
    stream: bytes.readUInt8(at),
    length: bytes.readUInt32LE(at + 4),
    from: { serial: bytes.readUInt32LE(at + 8), offset: Number(bytes.readBigUInt64LE(at + 16)) },
    to: { serial: bytes.readUInt32LE(at + 12), offset: Number(bytes.readBigUInt64LE(at + 24)) },
  };
}

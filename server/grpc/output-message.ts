/**
 * Messages that are nothing but output of a process, encoded by hand: one piece of memory of the right size and one
 * copy, where the general writer grows, copies and cuts. These are most of the bytes that this server ever sends.
 */

/** Field numbers of `stdout` and `stderr` in a message whose only content is its oneof `frame`. */
export interface OutputFields {
  readonly stdout: number;
  readonly stderr: number;
}

/** Of each rpc that sends output, by its name. */
export const OUTPUT_FIELDS: Readonly<Record<string, OutputFields>> = {
  AttachTask: { stdout: 3, stderr: 4 },
  ReadTaskLogs: { stdout: 2, stderr: 3 },
};

const LENGTH_DELIMITED = 2;
/** A field number below 16 and its type; a length below 2^35. */
const MAX_HEAD_BYTES = 6;

/** A message as generated code has it. */
interface Framed {
  readonly frame?: { readonly $case: string; readonly value: unknown };
}

/** @returns undefined for a message that is something else. */
export function encodeOutput({ frame }: Framed, fields: OutputFields): Buffer | undefined {
  if (frame?.$case !== 'stdout' && frame?.$case !== 'stderr') return undefined;
  const data = frame.value as Uint8Array;
  const memory = Buffer.allocUnsafe(MAX_HEAD_BYTES + data.length);
  let at = memory.writeUInt8((fields[frame.$case] << 3) | LENGTH_DELIMITED, 0);
  let length = data.length;
  for (; length > 0x7f; length = Math.floor(length / 0x80))
    at = memory.writeUInt8((length & 0x7f) | 0x80, at);
  at = memory.writeUInt8(length, at);
  memory.set(data, at);
  return memory.subarray(0, at + data.length);
}

/**
 * The two libraries that every binding in this folder declares its functions on, and how a failed call is told.
 */
import { dirname, join } from 'node:path';
import koffi from 'koffi';
import { SyscallError } from './errno.ts';

/** glibc as the process already has it, for functions that do not fail; musl has another name and is not supported. */
export const libc: ReturnType<typeof koffi.load> = koffi.load('libc.so.6');

/** Host path of the library of {@link calls}. */
const CALLS_LIBRARY: string = join(dirname(import.meta.dirname), 'build', 'libmydocker.so');

/** System calls that answer their result or -errno (calls.c); buffers must exist before the call. */
export const calls: ReturnType<typeof koffi.load> = koffi.load(CALLS_LIBRARY);

/**
 * The result of a call.
 * @param result - as {@link calls} answer it.
 * @param syscall - what is told of it, with the name it was made on.
 * @throws SyscallError when it is negative.
 */
export function check(result: number | bigint, syscall: string, name: Uint8Array | string = ''): number {
  if (result >= 0) return Number(result);
  throw new SyscallError(
    syscall,
    -Number(result),
    typeof name === 'string' ? name : Buffer.from(name).toString(),
  );
}

/**
 * A path or name as C takes it: its bytes and a NUL.
 * @throws RangeError when the bytes hold a NUL, which C would take for the end.
 */
export function cString(text: string | Uint8Array): Buffer {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  if (bytes.includes(0)) throw new RangeError('a path may not contain NUL');
  // From Node's pool: most calls here take a name, and an allocation of its own costs more than the call.
  const out = Buffer.allocUnsafe(bytes.length + 1);
  out.set(bytes);
  out[bytes.length] = 0;
  return out;
}

/**
 * The one handle to the C library that every binding in this folder declares its functions on, and the
 * two rules they share: errno is read in the very next expression, buffers exist before the call.
 */
import koffi from 'koffi';

/** glibc as the process already has it; musl has another name and is not supported. */
export const libc: ReturnType<typeof koffi.load> = koffi.load('libc.so.6');

/** errno of the C call just made; anything between the call and this one may have changed it. */
export const lastErrno = (): number => koffi.errno();

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

/** Finds the keys that leave a container running in what is typed, also where they come one at a time. */

/** What becomes of a piece of input. */
export interface Typed {
  /** Bytes that go on to the container. */
  readonly bytes: Buffer;
  /** The keys were typed; what follows them is dropped. */
  readonly detached: boolean;
}

/**
 * Watches input for a sequence of bytes. The beginning of the sequence is held back until what follows it is known.
 * @param keys - the sequence; empty: never found.
 */
export function detachDetector(keys: Buffer): (chunk: Buffer) => Typed {
  let held = 0;
  return (chunk) => {
    if (keys.length === 0) return { bytes: chunk, detached: false };
    const bytes: number[] = [];
    for (const byte of chunk) {
      while (held > 0 && byte !== keys[held]) {
        // What was held may begin anew further on: of keys "aab", "aaab" holds "aa" twice.
        const typed = [...keys.subarray(0, held)];
        const again = longestBeginning(keys, typed.slice(1));
        bytes.push(...typed.slice(0, held - again));
        held = again;
      }
      if (byte === keys[held]) held += 1;
      else bytes.push(byte);
      if (held === keys.length) return { bytes: Buffer.from(bytes), detached: true };
    }
    return { bytes: Buffer.from(bytes), detached: false };
  };
}

/** Length of the longest end of what was typed with which the keys begin. */
function longestBeginning(keys: Buffer, typed: readonly number[]): number {
  for (let length = typed.length; length > 0; length -= 1) {
    if (typed.slice(-length).every((byte, index) => byte === keys[index])) return length;
  }
  return 0;
}

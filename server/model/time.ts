/** The clock of records and events: nanoseconds since the epoch, different for each call. */

let lastMs = 0;
let withinMs = 0n;

/**
 * Now, in ns since the epoch. The resolution of the source is 1 ms; calls within one millisecond get
 * consecutive numbers, so that what was made later also sorts later.
 */
export function nowNs(): bigint {
  const ms = Date.now();
  withinMs = ms === lastMs ? withinMs + 1n : 0n;
  lastMs = ms;
  return BigInt(ms) * 1_000_000n + withinMs;
}

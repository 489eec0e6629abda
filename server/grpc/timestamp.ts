/** Points in time: nanoseconds since the epoch inside, google.protobuf.Timestamp on the wire. */
import type { Timestamp } from '../../proto/gen/google/protobuf/timestamp.ts';
import { invalidArgument } from '../model/error.ts';

const NANOS = 1_000_000_000n;
/** 9999-12-31, the last day of RFC 3339. */
const MAX_SECONDS = 253_402_300_799n;

/** @param ns - since epoch. */
export function toTimestamp(ns: bigint): Timestamp {
  return { seconds: ns / NANOS, nanos: Number(ns % NANOS) };
}

/** As {@link toTimestamp}, absent for what is not known. */
export function toTimestampOrNone(ns: bigint | undefined): Timestamp | undefined {
  return ns === undefined || ns === 0n ? undefined : toTimestamp(ns);
}

/**
 * @returns ns since epoch.
 * @throws MydockerError `invalid-argument` outside of 1970 to 9999.
 */
export function fromTimestamp(field: string, { seconds, nanos }: Timestamp): bigint {
  if (seconds >= 0n && seconds <= MAX_SECONDS && nanos >= 0 && nanos < 1_000_000_000)
    return seconds * NANOS + BigInt(nanos);
  throw invalidArgument(`invalid ${field}: it is not a time between 1970 and 9999`, {
    reason: 'TIME_INVALID',
  });
}

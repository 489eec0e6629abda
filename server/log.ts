/**
 * Makes the server's logger: JSON lines on standard error, never mixed into a container's output, and
 * with the fields that may hold secrets blacked out.
 */
import { type DestinationStream, destination, type Logger, pino } from 'pino';

/** How much is logged. */
export interface LogOptions {
  /** True logs at level `debug`, else `info`. */
  readonly debug: boolean;
  /** Where lines go; default standard error, written at once so that a crash loses none. */
  readonly stream?: DestinationStream;
}

/** Paths whose values never reach the log: environments and credentials. */
const REDACTED = [
  'env',
  '*.env',
  '*.*.env',
  'password',
  '*.password',
  'token',
  '*.token',
  'authorization',
  '*.authorization',
];

/** The server's logger; errors go under the key `err` with code, stack and causes. */
export function createLog(options: LogOptions): Logger {
  return pino(
    {
      level: options.debug ? 'debug' : 'info',
      base: { pid: process.pid },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED, censor: '[redacted]' },
    },
    options.stream ?? destination({ fd: 2, sync: true }),
  );
}

/** What every command gets: where the server is, and a connection to it, opened when first needed. */
import type { Connection } from './transport/connection.ts';

/** Surroundings of a command. */
export interface Context {
  /** `unix://PATH`. */
  readonly host: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Writes a line with time to standard error where `--debug` was given. */
  debug(line: string): void;
  /** The connection; the same one each time. */
  connect(): Connection;
}

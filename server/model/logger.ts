/**
 * What a layer needs to log, so that none of them depends on a logging library: the composition root makes
 * the logger (`server/log.ts`) and hands it down.
 */

/** Fields first, then the sentence, as pino takes them. */
type Write = (fields: object, message: string) => void;

/** The part of a pino logger that the layers use. */
export interface Logger {
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
  child(fields: Record<string, unknown>): Logger;
}

const nothing: Write = () => undefined;

/** Logs nothing: for tests and for callers that have no logger. */
export const SILENT: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => SILENT,
};

/** How an error is told: `mydocker: SENTENCE`, then what to do about it. */
import { RpcError } from '../transport/rpc-error.ts';
import { OUR_ERROR, UsageError } from '../usage-error.ts';
import { printable } from './printable.ts';

/** Lines for standard error, each with a newline. */
export function renderError(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const hint = error instanceof UsageError || error instanceof RpcError ? error.hint : undefined;
  const lines = [`mydocker: ${printable(message)}`, ...(hint ? [`hint: ${printable(hint)}`] : [])];
  return lines.map((line) => `${line}\n`).join('');
}

/** 125, or 126 and 127 where the server says that the program could not be executed or was not found. */
export function exitStatusOf(error: unknown): number {
  return error instanceof RpcError ? (error.exitStatus ?? OUR_ERROR) : OUR_ERROR;
}

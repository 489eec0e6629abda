/** The exit status that a finished run gives the client. */
import { type Exit, ExitReason } from '../../proto/gen/mydocker/v1/types.ts';
import { printError } from '../output.ts';
import { printable } from '../render/printable.ts';
import { showId } from '../render/values.ts';

/**
 * The process's own status; says on standard error why there is none, and what only the kernel knew.
 * @param container - for the message.
 */
export function exitStatus(container: string, exit: Exit): number {
  const { reason, message, oomKilled, signal } = exit;
  if (reason !== ExitReason.EXITED && reason !== ExitReason.UNSPECIFIED) {
    printError(
      `mydocker: container ${showId(container)} ended without a status: ${printable(message || 'unknown')}\n`,
    );
  } else if (oomKilled && signal > 0) {
    printError(`mydocker: the kernel killed a process of ${showId(container)} at its memory limit\n`);
  }
  return exit.exitStatus;
}

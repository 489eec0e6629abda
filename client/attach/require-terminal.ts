/** Refuses to give a process a terminal that nobody sits at. */
import { UsageError } from '../usage-error.ts';
import { stdinIsTerminal } from './raw-terminal.ts';

/** @throws UsageError where standard input is no terminal. */
export function requireTerminal(): void {
  if (stdinIsTerminal()) return;
  throw new UsageError('the input device is not a TTY', {
    hint: 'leave out -t to send input from a pipe or file',
  });
}

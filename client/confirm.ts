/** A question before what cannot be taken back, on the terminal that the command was typed at. */
import { readSync } from 'node:fs';
import { stdinIsTerminal } from './attach/raw-terminal.ts';
import { printError } from './output.ts';
import { UsageError } from './usage-error.ts';

const STDIN = 0;
/** Longest answer; a terminal gives one line at a time. */
const MAX_ANSWER_BYTES = 1024;

/**
 * Asks, unless the answer was given as an option.
 * @param what - what happens, a sentence.
 * @throws UsageError where the answer is not yes, or nobody is there to give one.
 */
export function confirm(what: string, force: boolean): void {
  if (force) return;
  if (!stdinIsTerminal()) {
    throw new UsageError('nobody can be asked: standard input is no terminal', {
      hint: `-f answers the question. ${what}`,
    });
  }
  printError(`${what} Are you sure? [y/N] `);
  const answer = Buffer.alloc(MAX_ANSWER_BYTES);
  const size = readSync(STDIN, answer);
  const text = answer.toString('utf8', 0, size).trim().toLowerCase();
  if (text !== 'y' && text !== 'yes') throw new UsageError('nothing was removed');
}

/**
 * Signals by name and number, strictly: what cannot be read is refused, never taken for another signal.
 * The numbers are those of x86-64 and arm64, which agree; source: signal(7).
 */
import { invalidArgument, quoteId } from './error.ts';

const NAMES: readonly string[] = (
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT ' +
  'CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'
).split(' ');

const ALIASES: Readonly<Record<string, number>> = { IOT: 6, CLD: 17, POLL: 29 };

/** First and last real-time signal that programs may use; the C library keeps 32 and 33. */
const RTMIN = 34;
const RTMAX = 64;

const NUMBERS: ReadonlyMap<string, number> = new Map([
  ...NAMES.map((name, index): [string, number] => [name, index + 1]),
  ...Object.entries(ALIASES),
]);

export const SIGTERM = 15;
export const SIGKILL = 9;

/**
 * Number of a signal.
 * @param text - `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3`, `RTMAX-1`.
 * @returns 1 to 64.
 * @throws MydockerError `invalid-argument`.
 */
export function parseSignal(text: string): number {
  if (/^[1-9]\d?$/.test(text) && Number(text) <= RTMAX) return Number(text);
  const name = /^(?:SIG)?([A-Z][A-Z0-9+-]{1,10})$/.exec(text.toUpperCase())?.[1] ?? '';
  const number = NUMBERS.get(name) ?? realTime(name);
  if (number !== undefined) return number;
  throw invalidArgument(`invalid signal ${quoteId(text)}: it is neither a name nor a number from 1 to 64`, {
    reason: 'SIGNAL_INVALID',
    hint: 'for example TERM, SIGKILL, 15 or RTMIN+3',
  });
}

/** Name of a signal with SIG in front; `SIG<number>` for one without a name. */
export function signalName(number: number): string {
  const name = NAMES[number - 1];
  if (name !== undefined) return `SIG${name}`;
  if (number === RTMIN) return 'SIGRTMIN';
  if (number === RTMAX) return 'SIGRTMAX';
  if (number > RTMIN && number < RTMAX) return `SIGRTMIN+${number - RTMIN}`;
  return `SIG${number}`;
}

function realTime(name: string): number | undefined {
  const match = /^(RTMIN|RTMAX)(?:([+-])(0|[1-9]\d?))?$/.exec(name);
  if (match === null) return undefined;
  const [, base, sign, offset = '0'] = match;
  const from = base === 'RTMIN' ? RTMIN : RTMAX;
  const number = sign === '-' ? from - Number(offset) : from + Number(offset);
  return number >= RTMIN && number <= RTMAX ? number : undefined;
}

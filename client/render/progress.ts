/** One line on a terminal that says how far a transfer is. */
import { type TransferProgress, TransferStage } from '../../proto/gen/mydocker/v1/images.ts';
import { printError } from '../output.ts';
import { printable } from './printable.ts';
import { showId, showSize } from './values.ts';

/** A line that is written over. */
export interface ProgressLine extends Disposable {
  show(progress: TransferProgress): void;
  /** Takes the line away, before anything else is printed. */
  clear(): void;
}

/** Signals that end the program, and that a terminal or a person sends. */
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
const USUAL_COLUMNS = 80;

const STAGE: Readonly<Partial<Record<TransferStage, string>>> = {
  [TransferStage.FETCHING]: 'reading',
  [TransferStage.VERIFYING]: 'checking',
  [TransferStage.UNPACKING]: 'unpacking',
  [TransferStage.PRESENT]: 'is here already',
  [TransferStage.DONE]: 'done',
};

/** A line on standard error, which must be a terminal. */
export function progressLine(): ProgressLine {
  let shown = false;
  const show = (progress: TransferProgress): void => {
    // A line that goes over the edge could not be taken back.
    const columns = process.stderr.columns ?? USUAL_COLUMNS;
    printError(`\r\x1b[K${printable(describe(progress)).slice(0, Math.max(columns - 1, 0))}`);
    shown = true;
  };
  const clear = (): void => {
    if (shown) printError('\r\x1b[K');
    shown = false;
  };
  // Whoever interrupts it finds an empty line, and the end by the signal that it had anyway.
  const leave = (signal: NodeJS.Signals): void => {
    clear();
    process.kill(process.pid, signal);
  };
  for (const signal of ENDING) process.once(signal, leave);
  return {
    show,
    clear,
    [Symbol.dispose]: () => {
      clear();
      for (const signal of ENDING) process.removeListener(signal, leave);
    },
  };
}

function describe({ digest, stage, doneBytes, totalBytes }: TransferProgress): string {
  const what = digest === '' ? 'archive' : `layer ${showId(digest)}`;
  const total = totalBytes === 0n ? '' : ` of ${showSize(totalBytes)}`;
  const done = doneBytes === 0n && totalBytes === 0n ? '' : ` ${showSize(doneBytes)}${total}`;
  return `${what}: ${STAGE[stage] ?? ''}${done}`;
}

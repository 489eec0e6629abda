/** One line on a terminal that says how far a transfer is. */
import { type TransferProgress, TransferStage } from '../../proto/gen/mydocker/v1/images.ts';
import { printError } from '../output.ts';
import { printable } from './printable.ts';
import { showId, showSize } from './values.ts';

/** A line that is written over. */
export interface ProgressLine {
  show(progress: TransferProgress): void;
  /** Takes the line away, before anything else is printed. */
  clear(): void;
}

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
  return {
    show: (progress) => {
      printError(`\r\x1b[K${printable(describe(progress))}`);
      shown = true;
    },
    clear: () => {
      if (shown) printError('\r\x1b[K');
      shown = false;
    },
  };
}

function describe({ digest, stage, doneBytes, totalBytes }: TransferProgress): string {
  const what = digest === '' ? 'archive' : `layer ${showId(digest)}`;
  const total = totalBytes === 0n ? '' : ` of ${showSize(totalBytes)}`;
  const done =
    doneBytes === 0n && totalBytes === 0n ? '' : doneBytes === 0n ? total : ` ${showSize(doneBytes)}${total}`;
  return `${what}: ${STAGE[stage] ?? ''}${done}`;
}

/**
 * How far the layers of an image are: on a terminal a line with a bar for each, written over as they come; elsewhere
 * a line when one begins and when it is done.
 */
import {
  type PullResolved,
  type TransferProgress,
  TransferStage,
} from '../../proto/gen/mydocker/v1/images.ts';
import { print, printError } from '../output.ts';
import { printable } from './printable.ts';
import { showId, showReference, showSize } from './values.ts';

/** What is shown of a transfer. */
export interface TransferBoard {
  /** What a reference stands for is known. */
  begin(resolved: PullResolved): void;
  show(progress: TransferProgress): void;
  /** Leaves what stands there, and prints a text below; the next one begins anew. */
  end(text: string): void;
}

const BAR_CHARS = 30;
/** Lines that are written over; of an image with more layers only those that are under way are shown. */
const MAX_LINES = 20;

type Words = Readonly<Partial<Record<TransferStage, string>>>;

/** Docker's words. */
const PULL_WORDS: Words = {
  [TransferStage.UNSPECIFIED]: 'Pulling fs layer',
  [TransferStage.WAITING]: 'Waiting',
  [TransferStage.FETCHING]: 'Downloading',
  [TransferStage.VERIFYING]: 'Verifying Checksum',
  [TransferStage.UNPACKING]: 'Extracting',
  [TransferStage.PRESENT]: 'Already exists',
  [TransferStage.DONE]: 'Pull complete',
  [TransferStage.RETRYING]: 'Retrying',
};
const PUSH_WORDS: Words = {
  [TransferStage.UNSPECIFIED]: 'Preparing',
  [TransferStage.WAITING]: 'Waiting',
  [TransferStage.SENDING]: 'Pushing',
  [TransferStage.PRESENT]: 'Layer already exists',
  [TransferStage.DONE]: 'Pushed',
  [TransferStage.RETRYING]: 'Retrying',
};

/** @param fd - 1 or 2. @param isTerminal - whether lines can be written over. */
export function transferBoard(fd: 1 | 2, isTerminal: boolean, verb: 'pull' | 'push' = 'pull'): TransferBoard {
  const out = fd === 1 ? print : printError;
  const begin = ({ reference }: PullResolved): void => {
    const [tag, name] = split(showReference(reference));
    out(`${printable(tag)}: Pulling from ${printable(name)}\n`);
  };
  const words = verb === 'pull' ? PULL_WORDS : PUSH_WORDS;
  return isTerminal ? bars(out, begin, words) : lines(out, begin, words);
}

function split(reference: string): [tag: string, name: string] {
  const [, name = reference, tag = 'latest'] =
    /^(.*?)(?:@(.*)|:([^:/]*))$/.exec(reference)?.filter(Boolean) ?? [];
  return [tag, name];
}

function lines(out: (text: string) => void, begin: TransferBoard['begin'], words: Words): TransferBoard {
  let before = new Map<string, TransferStage>();
  return {
    begin,
    show: ({ digest, stage, message }) => {
      if (digest === '') return out(`${printable(message)}\n`);
      const last = before.get(digest);
      before.set(digest, stage);
      const name = printable(showId(digest));
      const isOver = stage === TransferStage.DONE || stage === TransferStage.PRESENT;
      if (last === undefined && !isOver) out(`${name}: ${words[TransferStage.UNSPECIFIED]}\n`);
      if (isOver && last !== stage) out(`${name}: ${printable(message) || words[stage]}\n`);
      if (stage === TransferStage.RETRYING) out(`${name}: Retrying: ${printable(message)}\n`);
    },
    end: (text) => {
      before = new Map();
      out(text);
    },
  };
}

function bars(out: (text: string) => void, begin: TransferBoard['begin'], words: Words): TransferBoard {
  let layers = new Map<string, TransferProgress>();
  let shown = 0;
  /** For what stays to be read. */
  const above = (text: string): void => {
    out(`${shown === 0 ? '' : `\x1b[${shown}A\r`}\x1b[J${text}`);
    shown = 0;
  };
  const draw = (): void => {
    const all = [...layers.values()];
    const busy = all.length <= MAX_LINES ? all : all.filter(isBusy).slice(0, MAX_LINES);
    const up = shown === 0 ? '' : `\x1b[${shown}A`;
    const text = busy.map((layer) => `\r\x1b[K${printable(describe(layer, words))}\n`).join('');
    // Lines that are not needed any more are taken away.
    out(`${up}${text}\x1b[J`);
    shown = busy.length;
  };
  return {
    begin: (resolved) => {
      begin(resolved);
      for (const { digest, sizeBytes } of resolved.layers)
        layers.set(digest, {
          ...{ digest, stage: TransferStage.WAITING, doneBytes: 0n, totalBytes: sizeBytes, message: '' },
        });
      draw();
    },
    show: (progress) => {
      if (progress.digest === '') above(`${printable(progress.message)}\n`);
      else layers.set(progress.digest, progress);
      draw();
    },
    end: (text) => {
      layers = new Map();
      shown = 0;
      out(text);
    },
  };
}

function isBusy({ stage }: TransferProgress): boolean {
  return stage !== TransferStage.WAITING && stage !== TransferStage.DONE && stage !== TransferStage.PRESENT;
}

function describe({ digest, stage, doneBytes, totalBytes, message }: TransferProgress, words: Words): string {
  const word = words[stage] ?? '';
  if (stage === TransferStage.RETRYING) return `${showId(digest)}: ${word}: ${message}`;
  const head = `${showId(digest)}: ${message || word}`;
  const isCounted = stage === TransferStage.FETCHING || stage === TransferStage.SENDING;
  if (!isCounted || totalBytes === 0n) return head;
  const full = Math.min(BAR_CHARS, Number((doneBytes * BigInt(BAR_CHARS)) / totalBytes));
  const bar = `[${'='.repeat(full)}>${' '.repeat(BAR_CHARS - full)}]`;
  return `${head.padEnd(26)} ${bar} ${showSize(doneBytes)}/${showSize(totalBytes)}`;
}

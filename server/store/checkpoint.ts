/**
 * A small file beside the database that remembers how far it had come, so that a database cut short, or
 * gone altogether, is noticed although it opens well. Written now and then, so the database may be ahead of
 * it, never behind.
 */
import { open, readFile, rename } from 'node:fs/promises';
import { failpoint } from '../failpoint.ts';
import { dataLoss } from '../model/error.ts';
import type { Logger } from '../model/logger.ts';
import { decodeValue, encodeValue } from './codec.ts';
import { readTally, type Tally } from './tally.ts';

const NAME = 'meta.checkpoint';
/** Written after this many mutations … */
const EVERY_MUTATIONS = 512;
/** … or this long after the first one since the last time. */
const EVERY_MS = 5_000;

/**
 * The last checkpoint of a root; undefined when there never was one.
 * @returns also undefined, with `damaged` set, when it cannot be read: then nothing can be compared.
 */
export async function readCheckpoint(root: string): Promise<{ tally?: Tally; damaged: boolean }> {
  let text: string;
  try {
    text = await readFile(`${root}/${NAME}`, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { damaged: false };
    throw dataLoss('cannot read the metadata checkpoint', { reason: 'CHECKPOINT_UNREADABLE', cause: error });
  }
  try {
    const tally = readTally(decodeValue(NAME, text.trimEnd()));
    return tally === undefined ? { damaged: true } : { tally, damaged: false };
  } catch {
    return { damaged: true };
  }
}

/** Replaces the checkpoint, durably. Only a tally that is itself durable may be written. */
async function writeCheckpoint(root: string, tally: Tally): Promise<void> {
  await failpoint('store.checkpoint');
  const temporary = `${root}/${NAME}.tmp`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(`${encodeValue(NAME, tally)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, `${root}/${NAME}`);
  const folder = await open(root, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Writes checkpoints beside the work: never two at once, never in anybody's way. */
export class Checkpointer {
  readonly #root: string;
  readonly #log: Logger;
  #latest: Tally | undefined;
  #mutations = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;

  constructor(root: string, log: Logger) {
    this.#root = root;
    this.#log = log;
  }

  /** @param durable - how far the database is on the disk; @param mutations - how many since the last note. */
  note(durable: Tally, mutations: number): void {
    this.#latest = durable;
    this.#mutations += mutations;
    if (this.#mutations >= EVERY_MUTATIONS) void this.#write();
    // A checkpoint is worth less than a clean exit, so it keeps no process alive.
    else this.#timer ??= setTimeout(() => void this.#write(), EVERY_MS).unref();
  }

  /** Writes the last one. */
  async close(): Promise<void> {
    await this.#write();
    await this.#write();
  }

  #write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing ??= this.#writeLatest().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #writeLatest(): Promise<void> {
    const tally = this.#latest;
    if (tally === undefined) return;
    this.#latest = undefined;
    this.#mutations = 0;
    try {
      await writeCheckpoint(this.#root, tally);
    } catch (error) {
      // The old one stays true: the database is ahead of it.
      this.#log.warn({ err: error }, 'cannot write the metadata checkpoint');
    }
  }
}

/**
 * Space on the disk that is kept for a bad day: on a full disk it is given back bit by bit, so that what frees
 * space (a removal), and what must not be lost (the end of a run), can still be written down.
 */
import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, statfsSync, statSync, truncateSync, writeSync } from 'node:fs';

const NAME = 'meta.reserve';
/** Opening LevelDB again rewrites its log, which has up to 2 MiB; twice that. */
const RESERVE_BYTES = 4 << 20;
/** Given back at a time: little, since others may take it first. */
const STEP_BYTES = 512 << 10;
/** It is taken again once there is this much more. */
const PLENTY_BYTES = 4 * RESERVE_BYTES;
const REFILL_EVERY_MS = 10_000;

/** Whether an error, or what caused it, says that the disk or a quota is full. */
export function isNoSpace(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return /No space left|Disk quota exceeded|ENOSPC|EDQUOT/.test(error.message) || isNoSpace(error.cause);
}

export class Reserve {
  readonly #path: string;
  readonly #folder: string;
  #size: number;
  #lookedAt = 0;

  /** @param root - the root folder; must exist. */
  constructor(root: string) {
    this.#folder = root;
    this.#path = `${root}/${NAME}`;
    this.#size = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** Gives some of it back. @returns whether there was any. */
  release(): boolean {
    if (this.#size === 0) return false;
    this.#size = Math.max(0, this.#size - STEP_BYTES);
    truncateSync(this.#path, this.#size);
    return true;
  }

  /** Takes it, or takes it again, where there is plenty; costs nothing while it is whole. */
  refill(): void {
    if (this.#size >= RESERVE_BYTES || Date.now() - this.#lookedAt < REFILL_EVERY_MS) return;
    this.#lookedAt = Date.now();
    try {
      const { bavail, bsize } = statfsSync(this.#folder);
      if (bavail * bsize < PLENTY_BYTES) return;
      // Random, so that a file system that compresses keeps as much as it says.
      const bytes = randomFillSync(Buffer.allocUnsafe(RESERVE_BYTES - this.#size));
      const fd = openSync(this.#path, 'a', 0o600);
      try {
        this.#size += writeSync(fd, bytes);
      } finally {
        closeSync(fd);
      }
    } catch {
      // Somebody else took the space: next time.
    }
  }
}

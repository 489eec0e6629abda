/**
 * Blobs on their way in: `downloads/<hex of the digest>`, fetched once for all who want the same at the same
 * time. The file goes when its last user has used it; where all of them failed or left it stays for the next
 * try, for a day, within a limit for all together.
 */
import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type ContentDigest, digestHex } from '../model/digest.ts';
import type { Logger } from '../model/logger.ts';
import { isNoSpace } from '../model/no-space.ts';
import type { RegistryLimits } from '../model/registry.ts';
import {
  type BlobSource,
  type DownloadReport,
  type FetchReport,
  fetchBlob,
  type WantedBlob,
} from './download.ts';
import type { Slots } from './slots.ts';

/** How long leftovers are kept, in ms. */
const KEPT_MS = 86_400_000;
/** Read at a time by who follows a file. */
const READ_BYTES = 128 * 1024;

/** A blob that somebody uses. To be disposed of. */
export interface Download extends AsyncDisposable {
  /** Resolves once the file is whole and has the digest; rejects with what went wrong. Handled by itself. */
  readonly done: Promise<void>;
  readonly path: string;
  /** Its bytes from the first on, as they come; a chunk is good until the next one is asked for. @throws what `done` rejects with. */
  bytes(): AsyncGenerator<Buffer, void, undefined>;
  /** It is not needed for another try. */
  consumed(): void;
}

/** What a fetch works with that belongs to one pull. */
export interface DownloadWish {
  readonly source: BlobSource;
  /** How many of a pull may run at once. */
  readonly slots: Slots;
  readonly report: DownloadReport;
  readonly signal: AbortSignal;
}

interface Running {
  readonly key: string;
  readonly path: string;
  readonly done: Promise<void>;
  readonly reports: Set<DownloadReport>;
  readonly abort: AbortController;
  users: number;
  consumed: boolean;
  fetched: number;
  ended: boolean;
  /** Its beginning is older, and nobody may read it before all of it is known to be right. */
  isResumed: boolean;
  /** Settles once what its last user left is tidied up. */
  left?: Promise<void>;
  wake: Set<() => void>;
}

/** All of a server. */
export class Downloads {
  readonly #folder: string;
  readonly #limits: RegistryLimits;
  readonly #log: Logger;
  /** By digest and registry: what one registry sends does not fail who asks another one. */
  readonly #running = new Map<string, Running>();
  /** Files that are going; nobody may begin to write there. */
  readonly #removing = new Set<string>();

  /** @param root - the server's root folder. */
  constructor(root: string, limits: RegistryLimits, log: Logger) {
    this.#folder = join(root, 'downloads');
    this.#limits = limits;
    this.#log = log;
  }

  /** Makes the folder: at start, before any other use. */
  async prepare(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await this.sweep();
  }

  /** A fetch to come, or one that is under way already. */
  open(blob: WantedBlob, wish: DownloadWish): Download {
    const running = this.#join(blob, wish);
    const { path } = running;
    running.users += 1;
    running.reports.add(wish.report);
    if (running.fetched > 0) wish.report.fetched(running.fetched);
    let isMine = true;
    return {
      ...{ path, done: running.done },
      bytes: () => follow(running, wish.signal),
      consumed: () => {
        running.consumed = true;
      },
      [Symbol.asyncDispose]: async () => {
        if (!isMine) return;
        isMine = false;
        running.reports.delete(wish.report);
        running.users -= 1;
        if (running.users > 0) return;
        running.left = this.#leave(running);
        await running.left;
      },
    };
  }

  /**
   * Removes leftovers that nobody uses.
   * @param keptMs - not those that are younger.
   * @returns bytes that are free now.
   */
  async sweep(keptMs: number = KEPT_MS): Promise<number> {
    const files: { path: string; size: number; mtimeMs: number }[] = [];
    for (const { path, isBusy } of await this.files()) {
      if (isBusy) continue;
      const found = await stat(path).catch(() => undefined);
      if (found !== undefined) files.push({ path, size: found.size, mtimeMs: found.mtimeMs });
    }
    files.sort((a, b) => b.mtimeMs - a.mtimeMs);
    const oldest = Date.now() - keptMs;
    let [kept, freed] = [0, 0];
    for (const { path, size, mtimeMs } of files) {
      if (mtimeMs > oldest && kept + size <= this.#limits.keptBytes) kept += size;
      else {
        // Somebody may have begun to use it since.
        if (this.#isBusy(path)) continue;
        await this.#remove(path);
        freed += size;
      }
    }
    return freed;
  }

  /** What is there: being fetched, or left for another try. */
  async files(): Promise<{ readonly path: string; readonly isBusy: boolean }[]> {
    const names = await readdir(this.#folder);
    return names.map((name) => {
      const path = join(this.#folder, name);
      return { path, isBusy: this.#isBusy(path) };
    });
  }

  #isBusy(path: string): boolean {
    return this.#removing.has(path) || [...this.#running.values()].some((running) => running.path === path);
  }

  async #remove(path: string): Promise<void> {
    this.#removing.add(path);
    await rm(path, { force: true, recursive: true }).finally(() => this.#removing.delete(path));
  }

  #join(blob: WantedBlob, wish: DownloadWish): Running {
    const key = `${blob.digest} ${wish.source.host}`;
    const before = this.#running.get(key);
    if (before !== undefined && !before.abort.signal.aborted) return before;
    // One that was given up writes no more once it has ended; its file is taken over.
    const path = before?.path ?? this.#freePath(blob.digest);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    promise.catch(() => undefined);
    const running: Running = {
      ...{ key, path, done: promise, reports: new Set<DownloadReport>(), abort: new AbortController() },
      ...{
        users: 0,
        consumed: false,
        fetched: 0,
        ended: false,
        isResumed: false,
        wake: new Set<() => void>(),
      },
    };
    this.#running.set(key, running);
    const settle = (end: () => void): void => {
      running.ended = true;
      end();
      wakeAll(running);
    };
    const after = before?.done.catch(() => undefined).then(() => before.left);
    void this.#run(blob, wish, running, after).then(
      () => settle(resolve),
      (error: unknown) => settle(() => reject(error)),
    );
    return running;
  }

  async #run(
    blob: WantedBlob,
    { source, slots }: DownloadWish,
    running: Running,
    after: Promise<void> | undefined,
  ): Promise<void> {
    const { signal } = running.abort;
    await after;
    using _slot = await slots.take(signal);
    const report: FetchReport = {
      resumed: () => {
        running.isResumed = true;
      },
      fetched: (bytes) => {
        running.fetched = bytes;
        for (const one of running.reports) one.fetched(bytes);
        wakeAll(running);
      },
      retrying: (why) => {
        for (const one of running.reports) one.retrying(why);
      },
    };
    await fetchBlob(source, blob, running.path, this.#limits, report, signal);
  }

  /** Its last user has left. */
  async #leave(running: Running): Promise<void> {
    const { key, path } = running;
    running.abort.abort();
    // What is written at this moment comes before the file is looked at.
    const isFull = await running.done.then(() => false, isNoSpace);
    // Somebody else may have begun anew.
    if (this.#running.get(key) !== running) return;
    try {
      // A full disk is no place to keep things.
      if (running.consumed || isFull) await rm(path, { force: true });
    } catch (err) {
      this.#log.error({ err, path }, 'what is left of a download could not be removed');
    } finally {
      if (this.#running.get(key) === running) this.#running.delete(key);
    }
    await this.sweep();
  }

  #freePath(digest: ContentDigest): string {
    const name = join(this.#folder, digestHex(digest));
    for (let count = 0; ; count += 1) {
      const path = count === 0 ? name : `${name}-${count}`;
      if (!this.#isBusy(path)) return path;
    }
  }
}

function wakeAll(running: Running): void {
  const waiting = [...running.wake];
  running.wake.clear();
  for (const wake of waiting) wake();
}

/** Something has come, it has ended, or who waits has left. */
async function woken(running: Running, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = (): void => resolve();
  running.wake.add(wake);
  signal.addEventListener('abort', wake, { once: true });
  await promise;
  running.wake.delete(wake);
  signal.removeEventListener('abort', wake);
}

async function* follow(running: Running, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  let file: FileHandle | undefined;
  // One for all of it, so that the server stays as small as it is.
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  try {
    for (let at = 0; ; ) {
      signal.throwIfAborted();
      // Asked before the file is: what comes in between is seen the next time.
      const { ended, fetched, isResumed } = running;
      if (fetched > at && (ended || !isResumed)) {
        file ??= await open(running.path, 'r');
        const { bytesRead } = await file.read(buffer, 0, Math.min(READ_BYTES, fetched - at), at);
        if (bytesRead > 0) {
          at += bytesRead;
          yield buffer.subarray(0, bytesRead);
          continue;
        }
      }
      if (ended) return await running.done;
      await woken(running, signal);
    }
  } finally {
    await file?.close();
  }
}

/**
 * Content by its digest: `blobs/sha256/<hex>`, written whole and synced before it has its name.
 */
import { link, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestHex, digestOf } from '../model/digest.ts';
import { dataLoss } from '../model/error.ts';
import { syncFolder } from './sync-folder.ts';

export interface BlobStore {
  /** Path of a blob. */
  path(digest: Digest): string;
  /** Writes a small blob durably; nothing happens where it is already. */
  write(content: Uint8Array): Promise<Digest>;
  /**
   * Reads a small blob and checks it.
   * @throws MydockerError `data-loss` when it is gone or not what its name says.
   */
  read(digest: Digest): Promise<Buffer>;
  /** Whether the tars of layers are kept as they came. */
  readonly keepsLayers: boolean;
  /** Waits until a file of the same disk is on it, so that {@link take} need not. */
  settle(path: string): Promise<void>;
  /**
   * Gives a file, which is complete, the name of a blob beside the one it has, durably.
   * @param digest - of its bytes, known to be right.
   */
  take(path: string, digest: Digest): Promise<void>;
  /** A large blob whose digest is known at its end only. To be disposed of. */
  spool(): Promise<BlobSpool>;
  /** Removes a blob; absent is fine. */
  remove(digest: Digest): Promise<void>;
  /** Removes everything else, half-written blobs too: at start. @returns the names removed. */
  sweep(known: ReadonlySet<Digest>): Promise<string[]>;
}

/** A blob that comes; nothing is left of it unless it is taken. */
export interface BlobSpool extends AsyncDisposable {
  readonly path: string;
  /** What comes, once it is in the file. */
  through(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined>;
}

/**
 * @param root - the server's root folder; `blobs/sha256/` must exist.
 * @param keepsLayers - whether the tars of layers are kept as they came. Default true.
 */
export function createBlobStore(root: string, keepsLayers = true): BlobStore {
  const folder = join(root, 'blobs', 'sha256');
  const path = (digest: Digest): string => join(folder, digestHex(digest));
  let temporaries = 0;
  const temporaryPath = (): string => {
    temporaries += 1;
    return join(folder, `.tmp-${temporaries}`);
  };

  return {
    path,
    keepsLayers,
    write: async (content) => {
      const digest = digestOf(content);
      const temporary = temporaryPath();
      try {
        await writeFile(temporary, content, { mode: 0o600, flush: true });
        // Over one that is there: the same bytes.
        await rename(temporary, path(digest));
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
      await syncFolder(folder);
      return digest;
    },
    read: async (digest) => {
      const content = await readFile(path(digest)).catch((error: unknown) => {
        throw damaged(digest, 'it cannot be read', error);
      });
      if (digestOf(content) !== digest) throw damaged(digest, 'its content has changed');
      return content;
    },
    settle,
    take: async (from, digest) => {
      await settle(from);
      await link(from, path(digest)).catch((error: unknown) => {
        // The same bytes are there.
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      });
      await syncFolder(folder);
    },
    spool: async () => {
      const temporary = temporaryPath();
      const file = await open(temporary, 'wx', 0o600);
      return {
        path: temporary,
        through: async function* (source) {
          for await (const chunk of source) {
            await file.appendFile(chunk);
            yield chunk;
          }
        },
        [Symbol.asyncDispose]: async () => {
          await file.close();
          await rm(temporary, { force: true });
        },
      };
    },
    remove: (digest) => rm(path(digest), { force: true }),
    sweep: async (known) => {
      const names = new Set([...known].map(digestHex));
      const removed = (await readdir(folder)).filter((name) => !names.has(name));
      for (const name of removed) await rm(join(folder, name), { force: true });
      return removed;
    },
  };
}

async function settle(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.datasync();
  } finally {
    await file.close();
  }
}

function damaged(digest: Digest, why: string, cause?: unknown): Error {
  return dataLoss(`cannot read blob ${digest}: ${why}`, {
    reason: 'BLOB_DAMAGED',
    hint: 'remove the image and get it again',
    ...(cause === undefined ? {} : { cause }),
  });
}

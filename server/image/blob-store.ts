/**
 * Content by its digest: `blobs/sha256/<hex>`, written whole and synced before it has its name.
 */
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
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
  /** Removes a blob; absent is fine. */
  remove(digest: Digest): Promise<void>;
  /** Removes everything else, half-written blobs too: at start. @returns the names removed. */
  sweep(known: ReadonlySet<Digest>): Promise<string[]>;
}

/** @param root - the server's root folder; `blobs/sha256/` must exist. */
export function createBlobStore(root: string): BlobStore {
  const folder = join(root, 'blobs', 'sha256');
  const path = (digest: Digest): string => join(folder, digestHex(digest));
  let temporaries = 0;

  return {
    path,
    write: async (content) => {
      const digest = digestOf(content);
      temporaries += 1;
      const temporary = join(folder, `.tmp-${temporaries}`);
      const file = await open(temporary, 'w', 0o600);
      try {
        await file.writeFile(content);
        await file.sync();
      } finally {
        await file.close();
      }
      // Over one that is there: the same bytes.
      await rename(temporary, path(digest));
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
    remove: (digest) => rm(path(digest), { force: true }),
    sweep: async (known) => {
      const names = new Set([...known].map(digestHex));
      const removed = (await readdir(folder)).filter((name) => !names.has(name));
      for (const name of removed) await rm(join(folder, name), { force: true });
      return removed;
    },
  };
}

function damaged(digest: Digest, why: string, cause?: unknown): Error {
  return dataLoss(`cannot read blob ${digest}: ${why}`, {
    reason: 'BLOB_DAMAGED',
    hint: 'remove the image and get it again',
    ...(cause === undefined ? {} : { cause }),
  });
}

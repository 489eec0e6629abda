/**
 * Archives of images on their way in: `ingest/<name>/` holds the files of one, by number, while it is loaded.
 * Nothing in there is synced or survives the load; what a death left is removed at the next start.
 */
import { closeSync, openSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rmdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { internal } from '../model/error.ts';
import type { LaunchWorker } from '../model/worker.ts';
import { ArchiveFiles } from './archive-files.ts';
import { ARCHIVE_LIMITS, type ArchiveLimits } from './archive-limits.ts';
import { withinDisk } from './layer-store.ts';
import { type ArchiveSource, runSpool } from './run-worker.ts';
import { decodeTable, MAX_TABLE_BYTES, TABLE_NAME } from './spool-table.ts';

/** An archive in pieces. */
export interface SpooledArchive extends AsyncDisposable {
  readonly files: ArchiveFiles;
}

/** Where archives are taken apart. */
export interface Ingest {
  /** Makes the folder and empties it: at start, before any other use. @returns names removed. */
  prepare(): Promise<string[]>;
  /**
   * Reads an archive to its end.
   * @returns its files; to be disposed of. After a failure nothing is left.
   * @throws MydockerError as run-worker.ts; what the archive's source throws; the signal's reason.
   */
  spool(archive: ArchiveSource, signal?: AbortSignal): Promise<SpooledArchive>;
}

/**
 * @param root - the server's root folder.
 * @param launch - starts workers.
 * @param removeFolder - removes what is not as a worker of ours leaves it.
 * @param limits - of each archive; never more than the disk has free.
 */
export function createIngest(
  root: string,
  launch: LaunchWorker,
  removeFolder: (path: string) => Promise<void>,
  limits: ArchiveLimits = ARCHIVE_LIMITS,
): Ingest {
  const parent = join(root, 'ingest');
  const remove = async (path: string): Promise<void> => {
    if (!(await removeFlat(path))) await removeFolder(path);
  };

  return {
    prepare: async () => {
      await mkdir(parent, { recursive: true, mode: 0o700 });
      await chmod(parent, 0o700);
      const names = await readdir(parent);
      for (const name of names) await remove(join(parent, name));
      return names;
    },
    spool: async (archive, signal) => {
      const folder = await mkdtemp(join(parent, 'load-'));
      const directoryFd = openSync(folder, 'r');
      try {
        const target = { directoryFd, launch, ...(signal === undefined ? {} : { signal }) };
        await runSpool(target, await withinDisk(parent, limits), archive);
        const files = new ArchiveFiles(folder, decodeTable(await readTable(join(folder, TABLE_NAME))));
        return { files, [Symbol.asyncDispose]: () => remove(folder) };
      } catch (error) {
        await remove(folder);
        throw error;
      } finally {
        closeSync(directoryFd);
      }
    },
  };
}

async function readTable(path: string): Promise<string> {
  const { size } = await stat(path);
  if (size <= MAX_TABLE_BYTES) return await readFile(path, 'utf8');
  throw internal('cannot read archive: the table of its files is too large', { reason: 'WORKER_FAILED' });
}

/** A folder of files. @returns whether it is gone. */
async function removeFlat(path: string): Promise<boolean> {
  try {
    for (const name of await readdir(path)) await unlink(join(path, name));
    await rmdir(path);
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'ENOENT') return true;
    if (code === 'EISDIR' || code === 'EPERM' || code === 'ENOTEMPTY' || code === 'ENOTDIR') return false;
    throw error;
  }
}

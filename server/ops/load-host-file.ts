/** Loads an archive that lies on the server's machine, which its caller names in place of sending it. */
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { filePosition, watchPosition } from '../image/file-position.ts';
import { failedPrecondition } from '../model/error.ts';
import type { ImageEngine } from './image-engine.ts';
import { type LoadedImage, type LoadReport, type LoadRequest, loadImages } from './load-images.ts';

/** A regular file, by its path and by what tells it from another one that has this path elsewhere. */
export interface HostFile {
  readonly path: string;
  readonly device: bigint;
  readonly inode: bigint;
}

/**
 * As {@link loadImages}.
 * @param file - as the caller sees it, who may live among other mounts than the server.
 * @throws MydockerError also `failed-precondition`, reason ARCHIVE_NOT_HERE, where the server does not see this very file.
 */
export async function loadHostFile(
  engine: ImageEngine,
  request: LoadRequest,
  file: HostFile,
  report: LoadReport,
  signal?: AbortSignal,
): Promise<LoadedImage[]> {
  await using archive = await openHostFile(file);
  const totalBytes = BigInt((await archive.stat()).size);
  let told = 0;
  const tell = (done: number): void => {
    // It stays at its end while layers are unpacked.
    if (done === told) return;
    told = done;
    report.progress({ digest: '', stage: 'fetching', doneBytes: BigInt(done), totalBytes });
  };
  using _watch = watchPosition(() => filePosition(archive.fd), tell);
  return await loadImages(engine, request, { fd: archive.fd }, report, signal);
}

async function openHostFile({ path, device, inode }: HostFile): Promise<FileHandle> {
  if (!path.startsWith('/')) throw notHere(path, 'the path is not absolute');
  const isIt = (stat: BigIntStats): boolean => stat.isFile() && stat.dev === device && stat.ino === inode;
  let handle: FileHandle | undefined;
  try {
    // Looked at before, since opening some devices does something.
    if (isIt(await stat(path, { bigint: true }))) {
      // A FIFO that has come into its place must not hold the call.
      handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
      if (isIt(await handle.stat({ bigint: true }))) return handle;
    }
  } catch (cause) {
    await handle?.close();
    throw notHere(path, `the server cannot open it: ${(cause as NodeJS.ErrnoException).code}`, cause);
  }
  await handle?.close();
  throw notHere(path, 'the server sees something else there');
}

function notHere(path: string, why: string, cause?: unknown): Error {
  return failedPrecondition(`cannot load archive ${path}: ${why}`, {
    reason: 'ARCHIVE_NOT_HERE',
    hint: 'send its bytes',
    ...(cause === undefined ? {} : { cause }),
  });
}

/**
 * Volumes that are folders of the host begin with the image's content as well, where they are empty. They are filled where
 * they are, by the worker; what it leaves when it dies is told by a name in the folder.
 */
import { type FileHandle, open, opendir } from 'node:fs/promises';
import { FILL_MARK } from '../image/fill-job.ts';
import type { MergedDirectory } from '../snapshot/lookup.ts';
import type { Engine } from './engine.ts';

/**
 * Gives an empty folder the image's content.
 * @param device - absolute path; one that is not there, or is no folder, is left to the mount.
 * @param source - what the image has.
 * @throws MydockerError `resource-exhausted`, `internal`; the signal's reason. The folder is empty then, or marked.
 */
export async function fillFolder(
  { fillTree }: Pick<Engine, 'fillTree'>,
  device: string,
  source: MergedDirectory,
  signal: AbortSignal | undefined,
): Promise<void> {
  // Not synchronously: the server of a folder may not answer.
  await using folder = await open(device, 'r').catch(() => undefined);
  if (folder === undefined || !(await wants(folder, source))) return;
  await fillTree({ sources: source.folders, place: { directoryFd: folder.fd }, signal });
}

/** Nothing is in it, or what a fill left that came to no end. */
async function wants(folder: FileHandle, source: MergedDirectory): Promise<boolean> {
  const { uid, gid, mode } = await folder.stat();
  let isEmpty = true;
  try {
    for await (const { name } of await opendir(`/proc/self/fd/${folder.fd}`)) {
      if (name === FILL_MARK) return true;
      isEmpty = false;
    }
  } catch {
    return false;
  }
  const isSame = source.isBare && uid === source.uid && gid === source.gid && (mode & 0o7777) === source.mode;
  return isEmpty && !isSame;
}

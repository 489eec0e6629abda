/** What makes a rename last: the folder's own content is on the disk too. */
import { open } from 'node:fs/promises';

/** fsync(2) of a folder. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

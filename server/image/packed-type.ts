/** The media type of a layer, by its first bytes: what a document calls it need not be so. */
import { open } from 'node:fs/promises';

const TAR = 'application/vnd.oci.image.layer.v1.tar';

/** @param path - of the tar, compressed or not. @returns OCI's media type. */
export async function packedType(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    const magic = buffer.subarray(0, bytesRead).toString('hex');
    if (magic.startsWith('1f8b')) return `${TAR}+gzip`;
    return magic === '28b52ffd' ? `${TAR}+zstd` : TAR;
  } finally {
    await file.close();
  }
}

/**
 * The files of an archive of images as they were spooled: found by the names they had in it, through its
 * links, and read with a limit. What they claim about each other is checked here: digest and size.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { algorithmOf, type ContentDigest, type Digest, digestHex } from '../model/digest.ts';
import { dataLoss, invalidArgument, quoteId } from '../model/error.ts';
import type { Descriptor } from './oci-manifest.ts';
import type { SpooledEntry } from './spool-table.ts';

/** A file of the archive. */
export interface ArchiveFile {
  /** As the archive has it. */
  readonly name: string;
  /** Where it is now. */
  readonly path: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** Links that lead to links. */
const MAX_LINKS = 16;
/** Bytes of documents read for one archive: each is parsed in the server. */
const MAX_DOCUMENT_BYTES = 32 * 2 ** 20;

/** The files of one archive. */
export class ArchiveFiles {
  readonly #folder: string;
  readonly #entries = new Map<string, SpooledEntry>();
  #read = 0;

  /** @param folder - where the files lie, by their numbers. */
  constructor(folder: string, entries: readonly SpooledEntry[]) {
    this.#folder = folder;
    for (const entry of entries) {
      const name = normalized(entry.name);
      // The last one of a name wins, as it does on a disk.
      if (name !== undefined) this.#entries.set(name, entry);
    }
  }

  /** Names of everything, links too. */
  names(): IterableIterator<string> {
    return this.#entries.keys();
  }

  /** @returns undefined where there is no such file, or the links to it lead nowhere. */
  find(name: string): ArchiveFile | undefined {
    let at = normalized(name);
    for (let links = 0; at !== undefined && links <= MAX_LINKS; links += 1) {
      const entry = this.#entries.get(at);
      if (entry === undefined) return undefined;
      if (entry.kind === 'file') {
        const { digest, sizeBytes } = entry;
        return { name: at, path: join(this.#folder, String(entry.number)), digest, sizeBytes };
      }
      const base = entry.kind === 'symlink' && !entry.target.startsWith('/') ? parentOf(at) : '';
      at = normalized(`${base}/${entry.target}`);
    }
    return undefined;
  }

  /** The blob of an OCI layout; undefined where the archive does not have it. */
  findBlob(digest: ContentDigest): ArchiveFile | undefined {
    return this.find(`blobs/${algorithmOf(digest)}/${digestHex(digest)}`);
  }

  /**
   * The blob that a descriptor means.
   * @param what - for errors: `manifest`, `layer`.
   * @throws MydockerError `invalid-argument` (BLOB_MISSING, DIGEST_MISMATCH, SIZE_MISMATCH).
   */
  blob(descriptor: Descriptor, what: string): ArchiveFile {
    const { digest, sizeBytes } = descriptor;
    const file = this.findBlob(digest);
    // What comes in was hashed once, on its way to the disk.
    if (algorithmOf(digest) !== 'sha256')
      throw unfit(what, digest, 'archives are read with sha256 alone', 'DOCUMENT_INVALID');
    if (file === undefined) throw unfit(what, digest, 'the archive does not have it', 'BLOB_MISSING');
    if (file.digest !== digest)
      throw unfit(what, digest, `its content has the digest ${file.digest}`, 'DIGEST_MISMATCH');
    if (file.sizeBytes !== sizeBytes) {
      const why = `it has ${file.sizeBytes} bytes, its descriptor says ${sizeBytes}`;
      throw unfit(what, digest, why, 'SIZE_MISMATCH');
    }
    return file;
  }

  /**
   * The content of a document.
   * @throws MydockerError `invalid-argument` (ARCHIVE_LIMIT) when it is larger than the limit, or all
   * documents together are.
   */
  async read(file: ArchiveFile, maxBytes: number): Promise<Buffer> {
    this.#read += file.sizeBytes;
    if (file.sizeBytes > maxBytes || this.#read > MAX_DOCUMENT_BYTES) {
      const limit = file.sizeBytes > maxBytes ? maxBytes : MAX_DOCUMENT_BYTES;
      const why = `${quoteId(file.name)} is larger than ${limit} bytes${limit === maxBytes ? '' : ' with the documents before it'}`;
      throw invalidArgument(`cannot read archive: ${why}`, { reason: 'ARCHIVE_LIMIT', metadata: { why } });
    }
    const handle = await open(file.path, 'r');
    try {
      const content = Buffer.alloc(file.sizeBytes);
      const { bytesRead } = await handle.read(content, 0, content.length, 0);
      if (bytesRead !== file.sizeBytes) throw dataLoss(`cannot read archive: ${file.name} was cut off`);
      // Parsing takes the thread; others have their turn between two documents.
      await nextTurn();
      return content;
    } finally {
      await handle.close();
    }
  }
}

/** A name without `.`, `..` and doubled slashes; undefined where it leads out or is none. */
function normalized(name: string): string | undefined {
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.length === 0 ? undefined : parts.join('/');
}

function parentOf(name: string): string {
  return name.slice(0, Math.max(name.lastIndexOf('/'), 0));
}

function unfit(what: string, digest: ContentDigest, fault: string, reason: string): Error {
  const why = `${what} ${digest}: ${fault}`;
  return invalidArgument(`cannot read archive: ${why}`, {
    reason,
    metadata: { digest, why },
    ...(reason === 'BLOB_MISSING' ? {} : { hint: 'the archive is damaged; get it again' }),
  });
}

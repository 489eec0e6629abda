/**
 * The program that touches untrusted archives and trees, run as a process of its own so that the server
 * never does: it gets descriptors, never a path, and says in one line how it went (worker-protocol.ts).
 * Nothing but koffi and Node is loaded here: it is started for every layer.
 */
import { createHash, type Hash } from 'node:crypto';
import { constants, createReadStream, openSync, writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { exitNow } from '../../native/process.ts';
import { syncFs } from '../../native/tree-write.ts';
import { type Digest, parseDigest } from '../model/digest.ts';
import { archiveError } from './archive-error.ts';
import { ARCHIVE_READ_BYTES, ByteSource } from './byte-source.ts';
import { copyInto } from './copy-job.ts';
import { decompress } from './decompress.ts';
import { fillFrom } from './fill-job.ts';
import { createLayerWriter } from './layer-writer.ts';
import { spoolArchive } from './spool-archive.ts';
import { readTar } from './tar-reader.ts';
import { emptyTrees } from './tree-remover.ts';
import {
  COMPILE_ONLY,
  encodeError,
  encodeResult,
  type RemoveTreesResult,
  type UnpackResult,
  WORKER_FD,
  type WorkerJob,
  type WorkerResult,
} from './worker-protocol.ts';

/** Names that stay which fit into an answer. */
const MAX_FAILED = 100;

async function unpack(job: WorkerJob & { verb: 'unpack' }): Promise<UnpackResult> {
  const { limits, mayLackEnd } = job;
  const below = job.below.map((path) => openSync(path, constants.O_RDONLY | constants.O_DIRECTORY));
  // Of a file that was hashed when it was spooled, by a worker like this one, only the content is hashed.
  const sent = job.digest ?? createHash('sha256');
  // From where a file stands, not from a place of its own: the server sees by it how far this is.
  const input = createReadStream('', { fd: WORKER_FD.archive, highWaterMark: ARCHIVE_READ_BYTES });
  const archive = new ByteSource(input, {
    ...(typeof sent === 'string' ? {} : { hash: sent }),
    maxBytes: limits.unpackedBytes,
  });
  const { compression, bytes } = await decompress(archive);
  // Without compression both digests are of the same bytes, and hashing is most of the work.
  const plain = compression === 'none' ? undefined : createHash('sha256');
  const tar = new ByteSource(bytes, {
    ...(plain === undefined ? {} : { hash: plain }),
    maxBytes: limits.unpackedBytes,
  });
  const writer = createLayerWriter(WORKER_FD.directory, { below, limits });
  for await (const entry of readTar(tar, limits, { mayLackEnd })) await writer.write(entry);
  const summary = writer.finish();
  // The one wait for the disk, for all files together; the server's rename comes after it.
  if (job.sync) syncFs(WORKER_FD.directory);
  const archiveDigest = typeof sent === 'string' ? sent : digest(sent);
  return {
    ...summary,
    compression,
    diffId: plain === undefined ? archiveDigest : digest(plain),
    digest: archiveDigest,
    archiveBytes: archive.received,
  };
}

function digest(hash: Hash): Digest {
  return parseDigest(`sha256:${hash.digest('hex')}`);
}

function removeTrees(): RemoveTreesResult {
  const { removed, failed } = emptyTrees(WORKER_FD.directory);
  return { removed, failed: failed.slice(0, MAX_FAILED) };
}

async function run(text: string): Promise<WorkerResult> {
  const job = JSON.parse(text) as WorkerJob;
  switch (job.verb) {
    case 'unpack':
      return unpack(job);
    case 'spool':
      return spoolArchive(WORKER_FD.archive, WORKER_FD.directory, job.limits);
    case 'copy-tree':
      return copyInto(job.sources, WORKER_FD.directory);
    case 'fill-tree':
      return fillFrom(job.sources, WORKER_FD.directory);
    case 'remove-trees':
      return removeTrees();
  }
}

function withoutSpace(error: unknown): unknown {
  const full = error instanceof Error && /\b(?:ENOSPC|EDQUOT)\b/.test(error.message);
  if (!full) return error;
  return archiveError(undefined, 'no space left on device', {
    code: 'resource-exhausted',
    reason: 'NO_SPACE',
  });
}

/** A line is shorter than a pipe's atomic size in all but odd cases, and the server reads until the end. */
function answer(line: string): void {
  const bytes = Buffer.from(line);
  for (let at = 0; at < bytes.length; ) at += writeSync(WORKER_FD.answer, bytes, at);
}

process.title = 'mydocker-unpack';
const [, , job = ''] = process.argv;
if (job === COMPILE_ONLY) {
  // An end that is one keeps nothing by itself.
  flushCompileCache();
} else {
  try {
    answer(encodeResult(await run(job)));
  } catch (error) {
    answer(encodeError(withoutSpace(error)));
  }
}
// Not at the end of the input's stream: after an error the sender may still have much to send.
exitNow(0);

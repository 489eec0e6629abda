/**
 * Unpacks archives inside the test's own process, in a folder with a canary beside it: the same code that
 * the worker runs, without the wait for a process.
 */
import {
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ARCHIVE_LIMITS, type ArchiveLimits } from '../../../server/image/archive-limits.ts';
import { ByteSource } from '../../../server/image/byte-source.ts';
import { createLayerWriter, type LayerSummary } from '../../../server/image/layer-writer.ts';
import { readTar } from '../../../server/image/tar-reader.ts';

/** A place to unpack into. */
export interface Sandbox extends Disposable {
  /** The layer's root, empty at first. */
  readonly root: string;
  /** Beside the root: a directory with a file `f`, mode 0600, that nothing may touch. */
  readonly canary: string;
  /** Unpacks an archive into the root. */
  unpack(
    tar: Buffer,
    options?: { readonly base?: boolean; readonly limits?: Partial<ArchiveLimits> },
  ): Promise<LayerSummary>;
  /** Path below the root. */
  path(name: string): string;
  /** What everything outside the root looks like. */
  outside(): string;
}

/** A new place below the temporary folder; disposing removes it. */
export function sandbox(): Sandbox {
  const folder = mkdtempSync(join(tmpdir(), 'mydocker-unpack-'));
  const root = join(folder, 'root');
  const canary = join(folder, 'canary');
  mkdirSync(root, { mode: 0o700 });
  mkdirSync(canary);
  writeFileSync(join(canary, 'f'), 'ORIG', { mode: 0o600 });
  return {
    root,
    canary,
    unpack: async (tar, options = {}) => {
      const limits = { ...ARCHIVE_LIMITS, ...options.limits };
      const fd = openSync(root, 'r');
      try {
        const writer = createLayerWriter(fd, { base: options.base ?? true, limits });
        for await (const entry of readTar(sourceOf(tar, limits), limits)) await writer.write(entry);
        return writer.finish();
      } finally {
        closeSync(fd);
      }
    },
    path: (name) => join(root, name),
    outside: () => JSON.stringify([describe(folder, root), describe('/tmp/mydocker-escaped')]),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A byte source over a buffer, cut into odd pieces so that blocks never come whole. */
export function sourceOf(
  data: Buffer,
  limits: ArchiveLimits = ARCHIVE_LIMITS,
  pieceBytes = 1000,
): ByteSource {
  async function* pieces(): AsyncGenerator<Buffer> {
    for (let at = 0; at < data.length; at += pieceBytes) yield data.subarray(at, at + pieceBytes);
  }
  return new ByteSource(pieces(), { maxBytes: limits.unpackedBytes });
}

function describe(path: string, except = ''): unknown {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) return null;
  const { mode, uid, gid, nlink, size } = status;
  if (!status.isDirectory())
    return [mode, uid, gid, nlink, size, status.isFile() ? readFileSync(path, 'utf8') : ''];
  const names = readdirSync(path).filter((name) => join(path, name) !== except);
  return [mode, uid, gid, names.map((name) => [name, describe(join(path, name), except)])];
}

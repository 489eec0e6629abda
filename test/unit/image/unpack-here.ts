/**
 * Unpacks archives inside the test's own process, in a folder with a canary beside it: the same code that
 * the worker runs, without the wait for a process.
 */
import { execFileSync } from 'node:child_process';
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
import { dirname, join } from 'node:path';
import { getXattrFd } from '../../../native/tree-read.ts';
import { ARCHIVE_LIMITS, type ArchiveLimits } from '../../../server/image/archive-limits.ts';
import { ByteSource } from '../../../server/image/byte-source.ts';
import { createLayerWriter, type LayerSummary } from '../../../server/image/layer-writer.ts';
import { readTar } from '../../../server/image/tar-reader.ts';

/** How to unpack. */
export interface UnpackHere {
  /** False: on a layer that is empty. Default: on those that `under` made, if any. */
  readonly base?: boolean;
  readonly limits?: Partial<ArchiveLimits>;
}

/** A place to unpack into. */
export interface Sandbox extends Disposable {
  /** The layer's root, empty at first. */
  readonly root: string;
  /** Beside the root: a directory with a file `f`, mode 0600, that nothing may touch. */
  readonly canary: string;
  /** Unpacks an archive into the root. */
  unpack(tar: Buffer, options?: UnpackHere): Promise<LayerSummary>;
  /** Unpacks an archive as a layer of its own, under which the next ones are unpacked. @returns its folder. */
  under(tar: Buffer): Promise<string>;
  /** Path below the root. */
  path(name: string): string;
  /** Folders of all layers, topmost first: the root, then what `under` made. */
  layers(): readonly string[];
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
  const below: string[] = [];
  const empty = join(folder, 'empty');
  mkdirSync(empty);
  return {
    root,
    canary,
    unpack: (tar, options = {}) => unpackInto(root, options.base === false ? [empty] : below, tar, options),
    under: async (tar) => {
      const layer = join(folder, `below-${below.length}`);
      mkdirSync(layer, { mode: 0o700 });
      await unpackInto(layer, below, tar);
      below.unshift(layer);
      return layer;
    },
    layers: () => [root, ...below],
    path: (name) => join(root, name),
    outside: () => JSON.stringify([describe(folder, root), describe('/tmp/mydocker-escaped')]),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function unpackInto(
  root: string,
  below: readonly string[],
  tar: Buffer,
  options: UnpackHere = {},
): Promise<LayerSummary> {
  const limits = { ...ARCHIVE_LIMITS, ...options.limits };
  const [fd = -1, ...lower] = [root, ...below].map((path) => openSync(path, 'r'));
  try {
    const writer = createLayerWriter(fd, { below: lower, limits });
    for await (const entry of readTar(sourceOf(tar, limits), limits)) await writer.write(entry);
    return writer.finish();
  } finally {
    for (const opened of [fd, ...lower]) closeSync(opened);
  }
}

/** One name as a container sees it. */
export interface Seen {
  readonly path: string;
  /** Letter of find's %y: `f`, `d`, `l`, `c`, `b`, `p`. */
  readonly kind: string;
}

/** Everything that overlayfs shows of a box's layers, by path; mounted where nobody else sees it. */
export function merged(box: Sandbox): Seen[] {
  const script = 'mount -t overlay overlay -o "ro,$1" "$2" && find "$2" -printf "%P\\t%y\\n"';
  // At least two are needed.
  const empty = join(dirname(box.root), 'empty');
  const options = `lowerdir=${[...box.layers(), empty].join(':')}`;
  const args = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', options, empty];
  const lines = execFileSync('unshare', args, { encoding: 'utf8' }).split('\n').slice(0, -1);
  return lines
    .map((line) => line.split('\t'))
    .map(([path = '', kind = '']) => ({ path: path === '' ? '.' : path, kind }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Value of an extended attribute; undefined where there is none. */
export function xattr(path: string, name: string): string | undefined {
  const fd = openSync(path, 'r');
  try {
    return getXattrFd(fd, name)?.toString('latin1');
  } finally {
    closeSync(fd);
  }
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

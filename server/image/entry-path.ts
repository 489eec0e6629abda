/**
 * From the name of an entry to a place below the layer's root: split in bytes, `.` and `..` resolved
 * lexically, whiteouts told apart. What survives is a list of plain components; the kernel keeps even
 * those inside the root, this only decides what the archive means.
 */
import { archiveError, archiveLimit } from './archive-error.ts';
import type { ArchiveLimits } from './archive-limits.ts';

/** A place below the root: components without `/`, `.` and `..`; none is the root itself. */
export type LayerPath = readonly Buffer[];

/**
 * @param name - as the archive has it; a leading `/` is dropped, so that it is relative to the root.
 * @param what - what the name is, for the message: `name`, `link target`.
 * @throws MydockerError `invalid-argument` when it is empty or leads out of the root; `resource-exhausted`
 * when it is longer than the kernel takes.
 */
export function layerPath(entry: Buffer, name: Buffer, what: string, limits: ArchiveLimits): LayerPath {
  if (name.length === 0) throw archiveError(entry, `its ${what} is empty`);
  const path: Buffer[] = [];
  for (const part of pathParts(name)) {
    if (!isDotDot(part)) {
      if (part.length > limits.nameBytes) {
        throw archiveLimit(entry, `a part of its ${what} is longer than ${limits.nameBytes} bytes`);
      }
      path.push(part);
    } else if (path.pop() === undefined) {
      throw archiveError(entry, `its ${what} leads out of the root`, { reason: 'ARCHIVE_ESCAPES' });
    }
  }
  if (joinPath(path).length > limits.pathBytes) {
    throw archiveLimit(entry, `its ${what} is longer than ${limits.pathBytes} bytes`);
  }
  return path;
}

/** Components of a path in order, `..` among them, `.` and empty ones left out. */
export function pathParts(name: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at <= name.length; ) {
    const slash = name.indexOf(0x2f, at);
    const end = slash < 0 ? name.length : slash;
    const part = name.subarray(at, end);
    at = end + 1;
    if (part.length > 0 && !isDot(part)) parts.push(part);
  }
  return parts;
}

/** The path as the kernel takes it, relative; `.` for the root. */
export function joinPath(path: LayerPath): Buffer {
  if (path.length === 0) return Buffer.from('.');
  return Buffer.concat(path.flatMap((part, index) => (index === 0 ? [part] : [Buffer.from('/'), part])));
}

function isDot(part: Buffer): boolean {
  return part.length === 1 && part[0] === 0x2e;
}

function isDotDot(part: Buffer): boolean {
  return part.length === 2 && part[0] === 0x2e && part[1] === 0x2e;
}

/** What an entry's name says beside where it is. */
export type Whiteout =
  | { readonly kind: 'none' }
  /** Hides `name`, of the layers below, in the parent directory. */
  | { readonly kind: 'remove'; readonly name: Buffer }
  /** Hides everything of the layers below in the parent directory. */
  | { readonly kind: 'opaque' }
  /** Book-keeping of another storage driver; means nothing. */
  | { readonly kind: 'ignored' };

const PREFIX = Buffer.from('.wh.');
const META_PREFIX = Buffer.from('.wh..wh.');
const OPAQUE = Buffer.from('.wh..wh..opq');

/**
 * @throws MydockerError `invalid-argument` for a whiteout that names nothing, `.`, `..`, or has content.
 * Source: OCI image-spec, layer.md, "Whiteouts".
 */
export function whiteoutOf(entry: Buffer, path: LayerPath): Whiteout {
  if (path.some((part) => startsWith(part, META_PREFIX) && !part.equals(OPAQUE))) return { kind: 'ignored' };
  if (path.slice(0, -1).some((part) => startsWith(part, PREFIX))) {
    throw archiveError(entry, 'it is below a whiteout, which is no directory');
  }
  const base = path.at(-1);
  if (base === undefined || !startsWith(base, PREFIX)) return { kind: 'none' };
  if (base.equals(OPAQUE)) return { kind: 'opaque' };
  const name = base.subarray(PREFIX.length);
  if (name.length === 0 || isDot(name) || isDotDot(name)) {
    throw archiveError(entry, 'it is a whiteout of nothing');
  }
  return { kind: 'remove', name };
}

function startsWith(part: Buffer, prefix: Buffer): boolean {
  return part.subarray(0, prefix.length).equals(prefix);
}

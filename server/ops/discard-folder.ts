/**
 * Deletes what nobody can name any more. A container that ran shortly leaves a handful of names, for which a
 * process of its own would cost more than the deletion; everything else is deleted by one, behind.
 */
import { lstatSync, opendirSync, rmdirSync, unlinkSync } from 'node:fs';
import type { Engine } from './engine.ts';

/** What is deleted here: the event loop waits for it. */
const MAX_NAMES = 64;
const MAX_DEPTH = 8;
/** Freeing the blocks of large files takes the file system a while. */
const MAX_BYTES = 16 << 20;
const BLOCK_BYTES = 512;

/**
 * Deletes a folder: at once where it holds little, else behind.
 * @param path - below containers/, its name begins with a dot.
 * @throws the errors of node:fs; what fails behind goes to the log, and the next start tries again.
 */
export function discardFolder(engine: Pick<Engine, 'layers' | 'log'>, path: string): void {
  const names = smallTree(Buffer.from(path));
  if (names !== undefined) {
    for (const { name, directory } of names) (directory ? rmdirSync : unlinkSync)(name);
    return;
  }
  engine.layers.removeFolder(path).catch((err: unknown) => {
    engine.log.error({ err, path }, 'a folder could not be removed; the next start tries again');
  });
}

interface Named {
  readonly name: Buffer;
  readonly directory: boolean;
}

/**
 * Everything in a small tree, what is inside before what it is in. Nobody changes the tree any more and only
 * root can reach it, so that names are as good as descriptors here.
 * @returns undefined for a large or deep one.
 */
function smallTree(top: Buffer): readonly Named[] | undefined {
  const found: Named[] = [];
  let bytes = 0;
  const walk = (name: Buffer, depth: number): boolean => {
    const status = lstatSync(name);
    const directory = status.isDirectory();
    bytes += status.blocks * BLOCK_BYTES;
    if (depth > MAX_DEPTH || bytes > MAX_BYTES || found.length >= MAX_NAMES) return false;
    if (directory && !childrenOf(name, (child) => walk(child, depth + 1))) return false;
    found.push({ name, directory });
    return true;
  };
  return walk(top, 0) ? found : undefined;
}

/** Looks at one child after the other, so that a directory of a million names is not read. */
function childrenOf(directory: Buffer, look: (child: Buffer) => boolean): boolean {
  // Names need not be UTF-8; the type of opendirSync does not know this option's effect.
  const entries = opendirSync(directory, { encoding: 'buffer' as BufferEncoding, bufferSize: 32 });
  try {
    for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) {
      const name = entry.name as unknown as Buffer;
      if (!look(Buffer.concat([directory, Buffer.from('/'), name]))) return false;
    }
    return true;
  } finally {
    entries.closeSync();
  }
}

/**
 * Deletes what nobody can name any more. A container that ran shortly leaves a handful of names, for which a
 * process of its own would cost more than the deletion; everything else is deleted by one, behind.
 */
import { lstatSync, opendirSync } from 'node:fs';
import { rmdir, unlink } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import type { Engine } from './engine.ts';

/** What is deleted here, name by name. */
const MAX_NAMES = 64;
const MAX_DEPTH = 8;
/** Freeing the blocks of large files takes the file system a while. */
const MAX_BYTES = 16 << 20;
const BLOCK_BYTES = 512;

/** Deletions under way, so that a server that stops can wait for them. */
const underWay = new Set<Promise<void>>();

/** Resolves when nothing is being deleted. */
export async function discardsDone(): Promise<void> {
  while (underWay.size > 0) await Promise.all(underWay);
}

/**
 * Deletes a folder behind the caller, who does not wait: removing a name may wait for the file system's journal.
 * @param path - below containers/, its name begins with a dot. What fails goes to the log, and the next start
 * tries again.
 */
export function discardFolder(engine: Pick<Engine, 'layers' | 'log'>, path: string): void {
  const deleted = discard(engine, path)
    .catch((err: unknown) => {
      engine.log.error({ err, path }, 'a folder could not be removed; the next start tries again');
    })
    .finally(() => underWay.delete(deleted));
  underWay.add(deleted);
}

async function discard(engine: Pick<Engine, 'layers' | 'log'>, path: string): Promise<void> {
  // The caller's answer goes out first.
  await setImmediate();
  const names = smallTree(Buffer.from(path));
  if (names === undefined) return engine.layers.removeFolder(path);
  for (const { name, directory } of names) await (directory ? rmdir(name) : unlink(name));
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

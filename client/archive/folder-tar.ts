/**
 * A folder as a tar, written while it is sent. Links are sent as links and never followed, so that nothing
 * from outside the folder gets in.
 */
import { constants } from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '../usage-error.ts';

const BLOCK = 512;
const CHUNK_BYTES = 1 << 20;
/** What eleven octal digits hold. */
const MAX_OCTAL = 8 ** 11 - 1;
const MAX_NAME_BYTES = 100;
/** More than any layout has: a folder that was meant is smaller, one that was not is told soon. */
const MAX_ENTRIES = 50_000;

/**
 * Files and links below a folder, in the order of their names.
 * @throws UsageError when something cannot be read, or changes while it is read.
 */
export async function* tarFolder(folder: string): AsyncGenerator<Buffer> {
  for await (const name of walk(folder, '', { count: 0 })) yield* entry(folder, name);
  yield Buffer.alloc(2 * BLOCK);
}

async function* walk(folder: string, below: string, seen: { count: number }): AsyncGenerator<string> {
  for (const item of (await readdir(join(folder, below), { withFileTypes: true })).sort(byName)) {
    const name = below === '' ? item.name : `${below}/${item.name}`;
    seen.count += 1;
    if (seen.count > MAX_ENTRIES)
      throw new UsageError(`cannot read ${folder}: there are more than ${MAX_ENTRIES} files in it`);
    if (item.isDirectory()) yield* walk(folder, name, seen);
    else if (item.isFile() || item.isSymbolicLink()) yield name;
  }
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : 1;
}

async function* entry(folder: string, name: string): AsyncGenerator<Buffer> {
  const path = join(folder, name);
  if ((await lstat(path)).isSymbolicLink()) {
    yield* header(name, '2', 0, await readlink(path));
    return;
  }
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { size } = await file.stat();
    yield* header(name, '0', size, '');
    let left = size;
    while (left > 0) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(left, CHUNK_BYTES)));
      if (bytesRead === 0) throw new UsageError(`cannot read ${path}: it became shorter meanwhile`);
      left -= bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
    if (size % BLOCK !== 0) yield Buffer.alloc(BLOCK - (size % BLOCK));
  } finally {
    await file.close();
  }
}

/** A header, behind a PAX header where a field has no room for its value. */
function* header(name: string, type: string, size: number, link: string): Generator<Buffer> {
  const records = [
    ...(Buffer.byteLength(name) > MAX_NAME_BYTES ? [record('path', name)] : []),
    ...(Buffer.byteLength(link) > MAX_NAME_BYTES ? [record('linkpath', link)] : []),
    ...(size > MAX_OCTAL ? [record('size', String(size))] : []),
  ];
  if (records.length > 0) {
    const body = Buffer.concat(records);
    yield block('pax', 'x', body.length, '');
    yield Buffer.concat([body, Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK)]);
  }
  yield block(name, type, Math.min(size, MAX_OCTAL), link);
}

/** A PAX record; its length counts itself. */
function record(key: string, value: string): Buffer {
  const rest = Buffer.from(` ${key}=${value}\n`);
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function block(name: string, type: string, size: number, link: string): Buffer {
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`;
  Buffer.from(name).copy(header, 0, 0, MAX_NAME_BYTES);
  header.write(octal(0o644, 7), 100, 'latin1');
  header.write(octal(0, 7), 108, 'latin1');
  header.write(octal(0, 7), 116, 'latin1');
  header.write(octal(size, 11), 124, 'latin1');
  header.write(octal(0, 11), 136, 'latin1');
  header.write(type, 156, 'latin1');
  Buffer.from(link).copy(header, 157, 0, MAX_NAME_BYTES);
  header.write('ustar\x0000', 257, 'latin1');
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

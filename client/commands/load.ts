/** `mydocker load`: images out of an archive, a pipe or a folder. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isatty } from 'node:tty';
import { type HostFile, LoadHeader, LoadImagesRequest } from '../../proto/gen/mydocker/v1/images.ts';
import { loadImages } from '../api/images.ts';
import { tarFolder } from '../archive/folder-tar.ts';
import { inputChunks, openInput } from '../archive/open-input.ts';
import type { Action } from '../grammar/command.ts';
import type { LOAD_OPTIONS } from '../grammar/command-options.ts';
import { print } from '../output.ts';
import { parsePlatform } from '../parse/parse-platform.ts';
import { printable } from '../render/printable.ts';
import { progressLine } from '../render/progress.ts';
import { showReference } from '../render/values.ts';
import type { Call } from '../transport/call.ts';
import type { Connection } from '../transport/connection.ts';
import { RpcError } from '../transport/rpc-error.ts';
import { UsageError } from '../usage-error.ts';

const STDIN = 0;
const STDERR = 2;

/** What is read, and how much of it there is; 0n: not known. */
interface Source {
  chunks(): AsyncIterable<Buffer>;
  readonly totalBytes: bigint;
  /** Where a server on this machine finds it. */
  readonly file?: HostFile;
}

export const load: Action<typeof LOAD_OPTIONS> = async ({ options }, context) => {
  const { chunks, totalBytes, file } = openSource(options.input ?? '-');
  const header = LoadHeader.create({
    ...{ totalBytes, defaultReference: options.name ?? '' },
    ...(options.platform === undefined ? {} : { platform: parsePlatform(options.platform) }),
  });
  const connection = context.connect();
  if (file !== undefined) {
    try {
      return await transfer(connection, { ...header, file }, undefined, options.quiet);
    } catch (error) {
      // The server lives among other mounts, or may not read it.
      if (!(error instanceof RpcError && error.reason === 'ARCHIVE_NOT_HERE')) throw error;
    }
  }
  return await transfer(connection, header, chunks(), options.quiet);
};

/** @param chunks - undefined: the header says where they are. */
async function transfer(
  connection: Connection,
  header: LoadHeader,
  chunks: AsyncIterable<Buffer> | undefined,
  quiet: boolean | undefined,
): Promise<number> {
  using progress = quiet !== true && isatty(STDERR) ? progressLine() : undefined;
  const call = connection.bidi(loadImages);
  const sent = sendAll(call, header, chunks ?? []);
  for await (const { event } of call.responses()) {
    if (event?.$case === 'progress') progress?.show(event.value);
    if (event?.$case !== 'image') continue;
    progress?.clear();
    const { imageId, references } = event.value;
    const names = references.map((reference) => `Loaded image: ${printable(showReference(reference))}\n`);
    print(names.length > 0 ? names.join('') : `Loaded image ID: ${printable(imageId)}\n`);
  }
  await sent;
  return 0;
}

/** Stops where the server does not read any more: its answer says why. */
async function sendAll(
  call: Call<LoadImagesRequest, unknown>,
  header: LoadHeader,
  chunks: AsyncIterable<Buffer> | readonly Buffer[],
): Promise<void> {
  try {
    if (!(await call.send(LoadImagesRequest.create({ frame: { $case: 'header', value: header } })))) return;
    for await (const value of chunks) {
      if (!(await call.send({ frame: { $case: 'chunk', value } }))) return;
    }
    call.end();
  } catch (error) {
    // Half an archive is none; whoever reads the answers sees why they end.
    call.cancel(error as Parameters<typeof call.cancel>[0]);
  }
}

function openSource(path: string): Source {
  const input = openInput(path, 'give an archive of docker save, an OCI layout, or -');
  if (input.isDirectory)
    return { chunks: () => openFolder(path === '-' ? '/dev/stdin/' : path), totalBytes: 0n };
  if (path === '-' && isatty(STDIN))
    throw new UsageError('cannot load from a terminal', {
      hint: 'give -i FILE, or send the archive by a pipe',
    });
  const { totalBytes, file } = input;
  return { chunks: () => inputChunks(input), totalBytes, ...(file === undefined ? {} : { file }) };
}

function openFolder(path: string): AsyncIterable<Buffer> {
  if (['index.json', 'manifest.json'].some((name) => existsSync(join(path, name)))) return tarFolder(path);
  throw new UsageError(`cannot load ${path}: there is no index.json in it`, {
    hint: 'a folder must hold an OCI layout',
  });
}

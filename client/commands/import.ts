/** `mydocker import`: an image out of the tar of a root filesystem. */
import { createReadStream, fstatSync, openSync } from 'node:fs';
import { ImportImageRequest } from '../../proto/gen/mydocker/v1/images.ts';
import { importImage as importMethod } from '../api/images.ts';
import type { Action } from '../grammar/command.ts';
import type { IMPORT_OPTIONS } from '../grammar/command-options.ts';
import { print } from '../output.ts';
import { parseChanges } from '../parse/parse-changes.ts';
import { parsePlatform } from '../parse/parse-platform.ts';
import { UsageError } from '../usage-error.ts';

const STDIN = 0;
/** Larger messages cost less each, and the server holds several at a time; the contract allows up to 3 MiB. */
const CHUNK_BYTES = 256 * 1024;

type Header = Extract<
  NonNullable<Parameters<typeof ImportImageRequest.create>[0]>['frame'],
  { $case: 'header' }
>;

export const importImage: Action<typeof IMPORT_OPTIONS> = async ({ options, positionals }, context) => {
  const [file = '-', reference = ''] = positionals;
  const fd = file === '-' ? STDIN : openFile(file);
  const header: Header['value'] = {
    reference,
    config: parseChanges(options.change),
    message: options.message ?? '',
    totalBytes: fileSize(fd),
    ...(options.platform === undefined ? {} : { platform: parsePlatform(options.platform) }),
  };
  const { imageId } = await context.connect().clientStream(importMethod, requests(header, fd));
  print(`${imageId}\n`);
  return 0;
};

async function* requests(
  header: NonNullable<Header['value']>,
  fd: number,
): AsyncGenerator<ImportImageRequest> {
  yield ImportImageRequest.create({ frame: { $case: 'header', value: header } });
  for await (const chunk of createReadStream('', { fd, autoClose: false, highWaterMark: CHUNK_BYTES })) {
    yield { frame: { $case: 'chunk', value: chunk as Buffer } };
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`cannot open ${path}: ${code ?? error}`, {
      hint: 'give the tar of a root filesystem, or -',
    });
  }
}

/** Size of a regular file; 0 where it is not known. */
function fileSize(fd: number): bigint {
  const stat = fstatSync(fd);
  if (stat.isDirectory())
    throw new UsageError('cannot import a folder', { hint: 'tar -C DIR -c . | mydocker import - REF' });
  return stat.isFile() ? BigInt(stat.size) : 0n;
}

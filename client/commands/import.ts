/** `mydocker import`: an image out of the tar of a root filesystem. */
import { ImportImageRequest } from '../../proto/gen/mydocker/v1/images.ts';
import { importImage as importMethod } from '../api/images.ts';
import { type Input, inputChunks, openInput } from '../archive/open-input.ts';
import type { Action } from '../grammar/command.ts';
import type { IMPORT_OPTIONS } from '../grammar/command-options.ts';
import { print } from '../output.ts';
import { parseChanges } from '../parse/parse-changes.ts';
import { parsePlatform } from '../parse/parse-platform.ts';
import { UsageError } from '../usage-error.ts';

type Header = Extract<
  NonNullable<Parameters<typeof ImportImageRequest.create>[0]>['frame'],
  { $case: 'header' }
>;

export const importImage: Action<typeof IMPORT_OPTIONS> = async ({ options, positionals }, context) => {
  const [file = '-', reference = ''] = positionals;
  const input = openInput(file, 'give the tar of a root filesystem, or -');
  if (input.isDirectory)
    throw new UsageError('cannot import a folder', { hint: 'tar -C DIR -c . | mydocker import - REF' });
  const header: Header['value'] = {
    reference,
    config: parseChanges(options.change),
    message: options.message ?? '',
    totalBytes: input.totalBytes,
    ...(options.platform === undefined ? {} : { platform: parsePlatform(options.platform) }),
  };
  const { imageId } = await context.connect().clientStream(importMethod, requests(header, input));
  print(`${imageId}\n`);
  return 0;
};

async function* requests(
  header: NonNullable<Header['value']>,
  input: Input,
): AsyncGenerator<ImportImageRequest> {
  yield ImportImageRequest.create({ frame: { $case: 'header', value: header } });
  for await (const value of inputChunks(input)) yield { frame: { $case: 'chunk', value } };
}

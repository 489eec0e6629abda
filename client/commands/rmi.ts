/** `mydocker rmi`: takes references away, and images with their last one. */
import { RemoveImageRequest } from '../../proto/gen/mydocker/v1/images.ts';
import { removeImage } from '../api/images.ts';
import { eachTarget } from '../each-target.ts';
import type { Action } from '../grammar/command.ts';
import type { RMI_OPTIONS } from '../grammar/command-options.ts';
import { printable } from '../render/printable.ts';
import { showReference } from '../render/values.ts';

export const rmi: Action<typeof RMI_OPTIONS> = async ({ options, positionals }, context) =>
  await eachTarget(positionals, async (image) => {
    const request = RemoveImageRequest.create({ image, force: options.force ?? false });
    const { untagged, deleted } = await context.connect().unary(removeImage, request);
    return [
      ...untagged.map((name) => `Untagged: ${printable(showReference(name))}`),
      ...deleted.map((id) => `Deleted: ${id}`),
    ].join('\n');
  });

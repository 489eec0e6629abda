/** `mydocker tag`: makes a reference point at an image. */
import { TagImageRequest } from '../../proto/gen/mydocker/v1/images.ts';
import { tagImage } from '../api/images.ts';
import type { Action } from '../grammar/command.ts';
import type { NO_OPTIONS } from '../grammar/command-options.ts';

export const tag: Action<typeof NO_OPTIONS> = async (
  { positionals: [image = '', reference = ''] },
  context,
) => {
  await context.connect().unary(tagImage, TagImageRequest.create({ image, reference }));
  return 0;
};

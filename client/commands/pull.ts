/** `mydocker pull`: asks the server to fetch images. */
import { PullImageRequest } from '../../proto/gen/mydocker/v1/images.ts';
import { pullImage } from '../api/images.ts';
import { eachTarget } from '../each-target.ts';
import type { Action } from '../grammar/command.ts';
import type { NO_OPTIONS } from '../grammar/command-options.ts';
import { printable } from '../render/printable.ts';

export const pull: Action<typeof NO_OPTIONS> = async ({ positionals }, context) =>
  await eachTarget(positionals, async (reference) => {
    const lines: string[] = [];
    for await (const { event } of context
      .connect()
      .serverStream(pullImage, PullImageRequest.create({ reference }))) {
      if (event?.$case === 'result') lines.push(printable(event.value.reference));
    }
    return lines.join('\n');
  });

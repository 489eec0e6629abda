/** `mydocker push`: asks the server to send images. */
import { PushImageRequest } from '../../proto/gen/mydocker/v1/images.ts';
import { pushImage } from '../api/images.ts';
import { eachTarget } from '../each-target.ts';
import type { Action } from '../grammar/command.ts';
import type { NO_OPTIONS } from '../grammar/command-options.ts';
import { printable } from '../render/printable.ts';

export const push: Action<typeof NO_OPTIONS> = async ({ positionals }, context) =>
  await eachTarget(positionals, async (reference) => {
    const lines: string[] = [];
    for await (const { event } of context
      .connect()
      .serverStream(pushImage, PushImageRequest.create({ reference }))) {
      if (event?.$case === 'result') lines.push(`${printable(event.value.reference)} ${event.value.digest}`);
    }
    return lines.join('\n');
  });

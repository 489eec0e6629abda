/** `mydocker pull`: images from registries. */
import type { PullResult } from '../../proto/gen/mydocker/v1/images.ts';
import { eachTarget } from '../each-target.ts';
import type { Action } from '../grammar/command.ts';
import type { PULL_OPTIONS } from '../grammar/command-options.ts';
import { pullImage } from '../pull-image.ts';
import { printable } from '../render/printable.ts';
import { showReference } from '../render/values.ts';

export const pull: Action<typeof PULL_OPTIONS> = async ({ options, positionals }, context) =>
  await eachTarget(positionals, async (reference) => {
    const { platform, policy, allTags = false, quiet = false } = options;
    const results = await pullImage(context, { ...{ reference, platform, policy, allTags, quiet } }, status);
    return quiet ? results.map((result) => printable(result.reference)).join('\n') : '';
  });

/** What Docker says last. */
function status({ reference, digest, upToDate }: PullResult): string {
  const name = printable(showReference(reference));
  const what = upToDate ? 'Image is up to date for' : 'Downloaded newer image for';
  return `${digest === '' ? '' : `Digest: ${printable(digest)}\n`}Status: ${what} ${name}\n`;
}

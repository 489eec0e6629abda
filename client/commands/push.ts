/** `mydocker push`: asks the server to send images. */
import { isatty } from 'node:tty';
import { PushImageRequest, type PushResult } from '../../proto/gen/mydocker/v1/images.ts';
import { pushImage } from '../api/images.ts';
import { eachTarget } from '../each-target.ts';
import type { Action } from '../grammar/command.ts';
import type { PUSH_OPTIONS } from '../grammar/command-options.ts';
import { print } from '../output.ts';
import { parsePlatform } from '../parse/parse-platform.ts';
import { credentialsFor, registryOf } from '../registry/credentials.ts';
import { printable } from '../render/printable.ts';
import { transferBoard } from '../render/transfer-board.ts';
import { showReference } from '../render/values.ts';

export const push: Action<typeof PUSH_OPTIONS> = async ({ options, positionals }, context) =>
  await eachTarget(positionals, async (reference) => {
    const { platform, allTags = false, quiet = false } = options;
    const auth = await credentialsFor(registryOf(reference), context.env);
    const request = PushImageRequest.create({
      ...{ reference, allTags },
      ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
      ...(auth === undefined ? {} : { auth }),
    });
    const board = quiet ? undefined : transferBoard(1, isatty(1), 'push');
    // Not before the server has begun with it.
    let head = quiet ? '' : `The push refers to repository [${printable(repositoryOf(reference))}]\n`;
    const pushed: string[] = [];
    try {
      for await (const { event } of context.connect().serverStream(pushImage, request)) {
        print(head);
        head = '';
        if (event?.$case === 'progress') board?.show(event.value);
        if (event?.$case !== 'result') continue;
        pushed.push(printable(event.value.reference));
        board?.end(status(event.value));
      }
    } finally {
      board?.end('');
    }
    return quiet ? pushed.join('\n') : '';
  });

/** As typed, with its registry before it. */
function repositoryOf(reference: string): string {
  const name = reference.replace(/(?::[^:/]*)?(?:@.*)?$/, '');
  const registry = registryOf(reference);
  if (registry !== 'docker.io') return name;
  const path = name.replace(/^(?:index\.)?docker\.io\//, '');
  return `docker.io/${path.includes('/') ? path : `library/${path}`}`;
}

/** What Docker says last. */
function status({ reference, digest, sizeBytes }: PushResult): string {
  const tag = showReference(reference).replace(/^.*:/, '');
  return `${printable(tag)}: digest: ${printable(digest)} size: ${sizeBytes}\n`;
}

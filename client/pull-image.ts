/** Asks the server to fetch an image, for every command that may need one; shows how far it is. */
import { isatty } from 'node:tty';
import {
  PullImageRequest,
  type PullImageResponse,
  PullPolicy,
  type PullResult,
} from '../proto/gen/mydocker/v1/images.ts';
import { pullImage as pullMethod } from './api/images.ts';
import type { Context } from './context.ts';
import { parsePlatform } from './parse/parse-platform.ts';
import { credentialsFor, registryOf } from './registry/credentials.ts';
import { type TransferBoard, transferBoard } from './render/transfer-board.ts';
import { UsageError } from './usage-error.ts';

const POLICIES: Readonly<Record<string, PullPolicy>> = {
  always: PullPolicy.ALWAYS,
  missing: PullPolicy.MISSING,
  newer: PullPolicy.NEWER,
  never: PullPolicy.NEVER,
};

/** What to fetch, as typed. */
export interface PullWish {
  readonly reference: string;
  /** `linux/arm64`; absent: the server's. */
  readonly platform?: string | undefined;
  /** `always`, `missing`, `newer`, `never`; absent: `always`. */
  readonly policy?: string | undefined;
  readonly allTags?: boolean;
  /** Default false: progress is shown. */
  readonly quiet?: boolean;
  /** Where progress goes, 1 or 2. Default 1. */
  readonly fd?: 1 | 2;
}

/**
 * @param told - what each result is followed by on the board; absent: nothing.
 * @returns a result for each reference.
 * @throws UsageError for a policy or platform that is none; what the server says.
 */
export async function pullImage(
  context: Context,
  wish: PullWish,
  told: (result: PullResult) => string = () => '',
): Promise<readonly PullResult[]> {
  const policy = wish.policy === undefined ? PullPolicy.ALWAYS : POLICIES[wish.policy];
  if (policy === undefined)
    throw new UsageError(`invalid pull policy ${JSON.stringify(wish.policy)}`, {
      hint: `one of ${Object.keys(POLICIES).join(', ')}`,
    });
  const { reference, platform, allTags = false, quiet = false, fd = 1 } = wish;
  const auth =
    policy === PullPolicy.NEVER ? undefined : await credentialsFor(registryOf(reference), context.env);
  const request = PullImageRequest.create({
    ...{ reference, allTags, policy },
    ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
    ...(auth === undefined ? {} : { auth }),
  });
  const board = quiet ? undefined : transferBoard(fd, isatty(fd));
  const results: PullResult[] = [];
  try {
    for await (const { event } of context.connect().serverStream(pullMethod, request)) {
      if (event?.$case !== 'result') show(board, event);
      else {
        results.push(event.value);
        board?.end(told(event.value));
      }
    }
  } finally {
    board?.end('');
  }
  return results;
}

function show(board: TransferBoard | undefined, event: PullImageResponse['event']): void {
  if (event?.$case === 'progress') board?.show(event.value);
  if (event?.$case === 'resolved') board?.begin(event.value);
}

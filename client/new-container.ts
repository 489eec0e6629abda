/** What `create` and `run` have in common: a container out of what was typed. */
import { CreateContainerRequest } from '../proto/gen/mydocker/v1/containers.ts';
import { createContainer } from './api/containers.ts';
import { openCidFile } from './cid-file.ts';
import { explainCreate } from './commands/explain.ts';
import { containerConfig } from './container-config.ts';
import type { Context } from './context.ts';
import type { CreateOptions } from './grammar/container-options.ts';
import type { Arguments } from './grammar/option.ts';
import { printError } from './output.ts';
import { oneOf } from './parse/parse-filters.ts';
import { printable } from './render/printable.ts';
import { RpcError } from './transport/rpc-error.ts';
import { UsageError } from './usage-error.ts';

const PULLS = { missing: 'missing', always: 'always', never: 'never' } as const;
const NO_PULL = 'mydocker load and mydocker import bring images here';

/** How it shall be made. */
export interface NewContainer {
  readonly args: Arguments<CreateOptions>;
  /** Nobody attaches at once. */
  readonly detached: boolean;
  /** Asked before anything is made. @throws UsageError */
  readonly check?: () => void;
}

/**
 * Creates a container and prints the warnings that come with it.
 * @returns its id; undefined where its plan was printed instead.
 * @throws UsageError, RpcError
 */
export async function newContainer(
  context: Context,
  { args, detached, check }: NewContainer,
): Promise<string | undefined> {
  const { options } = args;
  const pull = oneOf('--pull', options.pull ?? 'missing', PULLS);
  const config = containerConfig(args, detached, { env: context.env, folder: process.cwd() });
  if (pull === 'always')
    throw new UsageError('cannot use --pull always: this version does not pull images', { hint: NO_PULL });
  const request = CreateContainerRequest.create({ name: options.name ?? '', config });
  if (options.explain) {
    await explainCreate(context, request, options.showEnv ?? false);
    return undefined;
  }
  check?.();
  const cidFile = options.cidfile === undefined ? undefined : openCidFile(options.cidfile);
  try {
    const { id, warnings } = await context.connect().unary(createContainer, request);
    for (const warning of warnings) printError(`warning: ${printable(warning)}\n`);
    cidFile?.write(id);
    return id;
  } catch (error) {
    cidFile?.remove();
    throw pull === 'missing' ? withoutPull(error) : error;
  }
}

/** Docker would fetch it now. */
function withoutPull(error: unknown): unknown {
  if (!(error instanceof RpcError) || error.reason !== 'IMAGE_NOT_FOUND') return error;
  const { code, message, reason, metadata, cause } = error;
  return new RpcError(code, message, {
    ...{ reason, metadata, cause },
    hint: `this version does not pull images; ${NO_PULL}`,
  });
}

/** What `create` and `run` have in common: a container out of what was typed. */
import { CreateContainerRequest, type CreateContainerResponse } from '../proto/gen/mydocker/v1/containers.ts';
import { createContainer } from './api/containers.ts';
import { openCidFile } from './cid-file.ts';
import { explainCreate } from './commands/explain.ts';
import { containerConfig } from './container-config.ts';
import type { Context } from './context.ts';
import type { CreateOptions } from './grammar/container-options.ts';
import type { Arguments } from './grammar/option.ts';
import { printError } from './output.ts';
import { oneOf } from './parse/parse-filters.ts';
import { pullImage } from './pull-image.ts';
import { printable } from './render/printable.ts';
import { RpcError } from './transport/rpc-error.ts';

const PULLS = { missing: 'missing', always: 'always', never: 'never' } as const;

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
  const request = CreateContainerRequest.create({ name: options.name ?? '', config });
  if (options.explain) {
    await explainCreate(context, request, options.showEnv ?? false);
    return undefined;
  }
  check?.();
  const cidFile = options.cidfile === undefined ? undefined : openCidFile(options.cidfile);
  try {
    const { id, warnings } = await createWithImage(context, request, pull);
    for (const warning of warnings) printError(`warning: ${printable(warning)}\n`);
    cidFile?.write(id);
    return id;
  } catch (error) {
    cidFile?.remove();
    throw error;
  }
}

/** An image that is not here is fetched, unless that is not wanted; one that is here is left as it is. */
async function createWithImage(
  context: Context,
  request: CreateContainerRequest,
  pull: keyof typeof PULLS,
): Promise<CreateContainerResponse> {
  const create = (): Promise<CreateContainerResponse> => context.connect().unary(createContainer, request);
  const rootfs = request.config?.rootfs;
  const reference = rootfs?.$case === 'image' ? rootfs.value : undefined;
  if (reference === undefined || pull === 'never') return await create();
  if (pull === 'missing') {
    try {
      return await create();
    } catch (error) {
      if (!(error instanceof RpcError && error.reason === 'IMAGE_NOT_FOUND')) throw error;
      printError(`no such image here: ${printable(reference)}; pulling it\n`);
    }
  }
  await pullImage(context, { reference, policy: pull, fd: 2 });
  return await create();
}

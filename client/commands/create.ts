/** `mydocker create`: records a container and runs nothing. */
import { CreateContainerRequest } from '../../proto/gen/mydocker/v1/containers.ts';
import { createContainer } from '../api/containers.ts';
import { containerConfig } from '../container-config.ts';
import type { Action } from '../grammar/command.ts';
import type { CreateOptions } from '../grammar/container-options.ts';
import { print, printError } from '../output.ts';
import { printable } from '../render/printable.ts';
import { explainCreate } from './explain.ts';

export const create: Action<CreateOptions> = async (args, context) => {
  const config = containerConfig(args, true, { env: context.env, folder: process.cwd() });
  const request = CreateContainerRequest.create({ name: args.options.name ?? '', config });
  if (args.options.explain) return await explainCreate(context, request, args.options.showEnv ?? false);
  const { id, warnings } = await context.connect().unary(createContainer, request);
  for (const warning of warnings) printError(`warning: ${printable(warning)}\n`);
  print(`${id}\n`);
  return 0;
};

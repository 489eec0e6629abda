/** `mydocker create`: records a container and runs nothing. */
import type { Action } from '../grammar/command.ts';
import type { CreateOptions } from '../grammar/container-options.ts';
import { newContainer } from '../new-container.ts';
import { print } from '../output.ts';

export const create: Action<CreateOptions> = async (args, context) => {
  const id = await newContainer(context, { args, detached: true });
  if (id !== undefined) print(`${id}\n`);
  return 0;
};

/** `mydocker rm`: removes containers with their files and logs. */
import { RemoveContainerRequest } from '../../proto/gen/mydocker/v1/containers.ts';
import { removeContainer } from '../api/containers.ts';
import { eachTarget } from '../each-target.ts';
import type { Action } from '../grammar/command.ts';
import type { RM_OPTIONS } from '../grammar/command-options.ts';

export const rm: Action<typeof RM_OPTIONS> = async ({ options, positionals }, context) => {
  const { force = false, volumes = false } = options;
  return await eachTarget(positionals, async (container) => {
    await context
      .connect()
      .unary(removeContainer, RemoveContainerRequest.create({ container, force, volumes }));
    return container;
  });
};

/** `mydocker rm`: removes containers with their files and logs. */
import { RemoveContainerRequest } from '../../proto/gen/mydocker/v1/containers.ts';
import { removeContainer } from '../api/containers.ts';
import { eachTarget } from '../each-target.ts';
import type { Action } from '../grammar/command.ts';
import type { RM_OPTIONS } from '../grammar/command-options.ts';
import { printError } from '../output.ts';
import { renderError } from '../render/error.ts';
import { Code, RpcError } from '../transport/rpc-error.ts';

export const rm: Action<typeof RM_OPTIONS> = async ({ options, positionals }, context) => {
  const { force = false, volumes = false } = options;
  return await eachTarget(positionals, async (container) => {
    try {
      await context
        .connect()
        .unary(removeContainer, RemoveContainerRequest.create({ container, force, volumes }));
    } catch (error) {
      // With -f it is as it shall be; scripts that clean up count on that.
      if (!force || !(error instanceof RpcError) || error.code !== Code.NOT_FOUND) throw error;
      printError(renderError(error));
      return '';
    }
    return container;
  });
};

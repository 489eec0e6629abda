/** `mydocker rename`. */
import { RenameContainerRequest } from '../../proto/gen/mydocker/v1/containers.ts';
import { renameContainer } from '../api/containers.ts';
import type { Action } from '../grammar/command.ts';
import type { NO_OPTIONS } from '../grammar/command-options.ts';

export const rename: Action<typeof NO_OPTIONS> = async (
  { positionals: [container = '', newName = ''] },
  context,
) => {
  await context.connect().unary(renameContainer, RenameContainerRequest.create({ container, newName }));
  return 0;
};

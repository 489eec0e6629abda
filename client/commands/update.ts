/** `mydocker update`: there for its name, which people type. */
import type { Action } from '../grammar/command.ts';
import type { UPDATE_OPTIONS } from '../grammar/update-options.ts';
import { UsageError } from '../usage-error.ts';

/** @throws UsageError always. */
export const update: Action<typeof UPDATE_OPTIONS> = async () => {
  throw new UsageError('cannot update containers: limits and policies cannot be changed after create yet', {
    hint: 'remove the container and create it again with other options',
  });
};

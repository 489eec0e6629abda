/** `mydocker update`: other limits, of containers that run at once. */
import { UpdateContainerRequest } from '../../proto/gen/mydocker/v1/containers.ts';
import { updateContainer } from '../api/containers.ts';
import { eachTarget } from '../each-target.ts';
import type { Action } from '../grammar/command.ts';
import type { UPDATE_OPTIONS } from '../grammar/update-options.ts';
import { parseRestart } from '../parse/parse-restart.ts';
import { resourceFields } from '../resources.ts';
import { UsageError } from '../usage-error.ts';

/** @throws UsageError where nothing is to be changed. */
export const update: Action<typeof UPDATE_OPTIONS> = async ({ options, positionals }, context) => {
  const resources = resourceFields(options);
  const restartPolicy = options.restart === undefined ? undefined : parseRestart(options.restart);
  if (resources === undefined && restartPolicy === undefined)
    throw new UsageError('nothing is to be changed', { hint: 'for example mydocker update -m 512m NAME' });
  return await eachTarget(positionals, async (container) => {
    const request = UpdateContainerRequest.fromPartial({
      container,
      ...(resources === undefined ? {} : { resources }),
      ...(restartPolicy === undefined ? {} : { restartPolicy }),
    });
    await context.connect().unary(updateContainer, request);
    return container;
  });
};

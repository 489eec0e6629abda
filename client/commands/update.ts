/** `mydocker update`: other limits and ports, of containers that run at once. */
import { UpdateContainerRequest } from '../../proto/gen/mydocker/v1/containers.ts';
import { PublishPortsRequest, UnpublishPortsRequest } from '../../proto/gen/mydocker/v1/networks.ts';
import { PauseTaskRequest, ResumeTaskRequest } from '../../proto/gen/mydocker/v1/tasks.ts';
import { updateContainer } from '../api/containers.ts';
import { publishPorts, unpublishPorts } from '../api/networks.ts';
import { pauseTask, resumeTask } from '../api/tasks.ts';
import { eachTarget } from '../each-target.ts';
import type { Action } from '../grammar/command.ts';
import type { Values } from '../grammar/option.ts';
import type { UPDATE_OPTIONS } from '../grammar/update-options.ts';
import { isFrozen, parseDeviceRule } from '../parse/parse-kernel.ts';
import { parsePublish } from '../parse/parse-port.ts';
import { parseRestart } from '../parse/parse-restart.ts';
import { type ResourceFields, resourceFields } from '../resources.ts';
import { UsageError } from '../usage-error.ts';

/** Devices that may be used are added to those that may be, then others taken away. */
function changedResources(options: Values<typeof UPDATE_OPTIONS>): ResourceFields | undefined {
  const fields = resourceFields(options);
  const deviceRules = [
    ...options.deviceCgroupRule.map(parseDeviceRule),
    ...options.deviceCgroupRuleRm.map((text) => ({ ...parseDeviceRule(text), allow: false })),
  ];
  return deviceRules.length === 0 ? fields : { ...fields, deviceRules };
}

/** @throws UsageError where nothing is to be changed. */
export const update: Action<typeof UPDATE_OPTIONS> = async ({ options, positionals }, context) => {
  const resources = changedResources(options);
  const restartPolicy = options.restart === undefined ? undefined : parseRestart(options.restart);
  const added = options.publishAdd.flatMap((text) => parsePublish(text, '--publish-add'));
  const gone = options.publishRm.flatMap((text) => parsePublish(text, '--publish-rm'));
  const limits = resources !== undefined || restartPolicy !== undefined;
  const frozen = options.freezerState === undefined ? undefined : isFrozen(options.freezerState);
  if (!limits && frozen === undefined && added.length + gone.length === 0)
    throw new UsageError('nothing is to be changed', { hint: 'for example mydocker update -m 512m NAME' });
  return await eachTarget(positionals, async (container) => {
    const connection = context.connect();
    // Who exchanges a port gives it back first.
    if (gone.length > 0)
      await connection.unary(unpublishPorts, UnpublishPortsRequest.create({ container, ports: gone }));
    if (added.length > 0)
      await connection.unary(publishPorts, PublishPortsRequest.create({ container, ports: added }));
    if (limits) await changeLimits(container);
    if (frozen === true) await connection.unary(pauseTask, PauseTaskRequest.create({ container }));
    if (frozen === false) await connection.unary(resumeTask, ResumeTaskRequest.create({ container }));
    return container;
  });

  async function changeLimits(container: string): Promise<void> {
    const request = UpdateContainerRequest.fromPartial({
      container,
      ...(resources === undefined ? {} : { resources }),
      ...(restartPolicy === undefined ? {} : { restartPolicy }),
    });
    await context.connect().unary(updateContainer, request);
  }
};

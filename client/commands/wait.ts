/** `mydocker wait`: waits until containers end, and prints their exit statuses. */
import { WaitCondition } from '../../proto/gen/mydocker/v1/tasks.ts';
import { waitTask } from '../api/tasks.ts';
import { eachTarget } from '../each-target.ts';
import type { Action } from '../grammar/command.ts';
import type { NO_OPTIONS } from '../grammar/command-options.ts';

export const wait: Action<typeof NO_OPTIONS> = async ({ positionals }, context) =>
  await eachTarget(positionals, async (container) => {
    const request = { container, runId: '', condition: WaitCondition.NOT_RUNNING };
    const { exit } = await context.connect().unary(waitTask, request);
    return String(exit?.exitStatus ?? 0);
  });

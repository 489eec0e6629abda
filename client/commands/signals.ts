/** `mydocker kill`, `pause` and `unpause`: what is sent and not waited for. */
import { KillTaskRequest, PauseTaskRequest, ResumeTaskRequest } from '../../proto/gen/mydocker/v1/tasks.ts';
import { killTask, pauseTask, resumeTask } from '../api/tasks.ts';
import { eachTarget } from '../each-target.ts';
import type { Action } from '../grammar/command.ts';
import type { KILL_OPTIONS, NO_OPTIONS } from '../grammar/command-options.ts';

export const kill: Action<typeof KILL_OPTIONS> = async ({ options, positionals }, context) =>
  await eachTarget(positionals, async (container) => {
    const request = KillTaskRequest.create({ container, signal: options.signal ?? '' });
    await context.connect().unary(killTask, request);
    return container;
  });

export const pause: Action<typeof NO_OPTIONS> = async ({ positionals }, context) =>
  await eachTarget(positionals, async (container) => {
    await context.connect().unary(pauseTask, PauseTaskRequest.create({ container }));
    return container;
  });

export const unpause: Action<typeof NO_OPTIONS> = async ({ positionals }, context) =>
  await eachTarget(positionals, async (container) => {
    await context.connect().unary(resumeTask, ResumeTaskRequest.create({ container }));
    return container;
  });

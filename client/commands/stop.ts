/** `mydocker stop` and `restart`. */
import { RestartTaskRequest, StopTaskRequest } from '../../proto/gen/mydocker/v1/tasks.ts';
import { restartTask, stopTask } from '../api/tasks.ts';
import { timeoutMs } from '../container-config.ts';
import { eachTarget } from '../each-target.ts';
import type { Action } from '../grammar/command.ts';
import type { STOP_OPTIONS } from '../grammar/command-options.ts';

type StopOptions = typeof STOP_OPTIONS;

export const stop: Action<StopOptions> = async ({ options, positionals }, context) => {
  const how = { signal: options.signal ?? '', ...timeout(options.time) };
  return await eachTarget(positionals, async (container) => {
    await context.connect().unary(stopTask, StopTaskRequest.create({ container, ...how }));
    return container;
  });
};

export const restart: Action<StopOptions> = async ({ options, positionals }, context) => {
  const how = { signal: options.signal ?? '', ...timeout(options.time) };
  return await eachTarget(positionals, async (container) => {
    await context.connect().unary(restartTask, RestartTaskRequest.create({ container, ...how }));
    return container;
  });
};

function timeout(text: string | undefined): { timeoutMs?: number } {
  return text === undefined ? {} : { timeoutMs: timeoutMs('--time', text) };
}

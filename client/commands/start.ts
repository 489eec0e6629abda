/** `mydocker start`: runs containers again, in the background or attached. */
import { StartTaskRequest } from '../../proto/gen/mydocker/v1/tasks.ts';
import { startTask } from '../api/tasks.ts';
import { eachTarget } from '../each-target.ts';
import type { Action } from '../grammar/command.ts';
import type { START_OPTIONS } from '../grammar/command-options.ts';
import { RpcError } from '../transport/rpc-error.ts';
import { UsageError } from '../usage-error.ts';
import { attachTo } from './attach.ts';

export const start: Action<typeof START_OPTIONS> = async ({ options, positionals }, context) => {
  const names = [...options.name, ...positionals];
  const [first] = names;
  if (first === undefined) throw new UsageError('no container given', { hint: 'mydocker start CONTAINER…' });
  if (options.attach || options.interactive) {
    if (names.length > 1) throw new UsageError('only one container can be attached to at a time');
    return await attachTo(context, first, {
      stdin: options.interactive ?? false,
      sigProxy: options.sigProxy ?? true,
      detachKeys: options.detachKeys,
      start: true,
    });
  }
  return await eachTarget(names, async (container) => {
    await context
      .connect()
      .unary(startTask, StartTaskRequest.create({ container }))
      .catch((error: unknown) => {
        // It does what was asked for already.
        if (!(error instanceof RpcError && error.reason === 'CONTAINER_RUNNING')) throw error;
      });
    return container;
  });
};

/**
 * `mydocker run`: create, attach and start in one call, stay until the end; or create and start, and print the id. The
 * composition is the client's, each part is the server's.
 */
import { RemoveContainerRequest } from '../../proto/gen/mydocker/v1/containers.ts';
import { PauseTaskRequest, StartTaskRequest, WaitCondition } from '../../proto/gen/mydocker/v1/tasks.ts';
import type { Exit } from '../../proto/gen/mydocker/v1/types.ts';
import { removeContainer } from '../api/containers.ts';
import { pauseTask, startTask, waitTask } from '../api/tasks.ts';
import { attachSession } from '../attach/attach-session.ts';
import { exitStatus } from '../attach/exit-status.ts';
import { requireTerminal } from '../attach/require-terminal.ts';
import type { Context } from '../context.ts';
import type { Action } from '../grammar/command.ts';
import type { RunOptions } from '../grammar/container-options.ts';
import type { Arguments } from '../grammar/option.ts';
import { newContainer } from '../new-container.ts';
import { print } from '../output.ts';
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from '../parse/parse-detach-keys.ts';
import { oneOf } from '../parse/parse-filters.ts';
import { isFrozen } from '../parse/parse-kernel.ts';
import { Code, RpcError } from '../transport/rpc-error.ts';
import { UsageError } from '../usage-error.ts';

/** Which streams the client attaches to. */
interface Streams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export const run: Action<RunOptions> = async (args, context) => {
  const { options } = args;
  const detached = options.detach ?? false;
  if (detached && options.attach.length > 0) throw new UsageError('-d and -a exclude each other');
  const freezes = options.freezerState !== undefined && isFrozen(options.freezerState);
  if (freezes && !detached) throw new UsageError('--freezer-state FROZEN goes with -d');
  const streams = attachedStreams(args);
  const detachKeys = parseDetachKeys(options.detachKeys ?? DEFAULT_DETACH_KEYS);
  const id = await newContainer(context, {
    args,
    detached,
    check: () => {
      if (!detached && streams.stdin && options.tty) requireTerminal();
    },
  });
  if (id === undefined) return 0;
  try {
    if (detached) {
      await context.connect().unary(startTask, StartTaskRequest.create({ container: id }));
      if (freezes) await context.connect().unary(pauseTask, PauseTaskRequest.create({ container: id }));
      print(`${id}\n`);
      return 0;
    }
    const { exit } = await attachSession(context, {
      open: { container: id, start: true },
      terminal: options.tty ?? false,
      ...streams,
      sigProxy: options.sigProxy ?? true,
      detachKeys,
    });
    return exit === undefined ? 0 : await ended(context, id, exit, options.rm ?? false);
  } catch (error) {
    if (options.rm) await removeUnstarted(context, id, error);
    throw error;
  }
};

async function ended(context: Context, id: string, exit: Exit, removed: boolean): Promise<number> {
  // The name is free, and the files are going, by the time the shell goes on.
  if (removed) await gone(context, id);
  return exitStatus(id, exit);
}

async function gone(context: Context, id: string): Promise<void> {
  const wait = { container: id, runId: '', condition: WaitCondition.REMOVED };
  await context
    .connect()
    .unary(waitTask, wait)
    .catch((error: unknown) => {
      if (!(error instanceof RpcError && error.code === Code.NOT_FOUND)) throw error;
    });
}

/** The server removes with `--rm` what has run; what never began to is removed here. */
async function removeUnstarted(context: Context, id: string, cause: unknown): Promise<void> {
  // A lost connection says nothing about the container.
  if (!(cause instanceof RpcError) || cause.code === Code.UNAVAILABLE) return;
  await context
    .connect()
    .unary(removeContainer, RemoveContainerRequest.create({ container: id, volumes: true }))
    .catch(() => undefined);
}

function attachedStreams({ options }: Arguments<RunOptions>): Streams {
  if (options.attach.length === 0) return { stdin: options.interactive ?? false, stdout: true, stderr: true };
  const names = { stdin: 'stdin', stdout: 'stdout', stderr: 'stderr' } as const;
  const chosen = options.attach.map((text) => oneOf<keyof Streams>('stream', text, names));
  return {
    stdin: chosen.includes('stdin'),
    stdout: chosen.includes('stdout'),
    stderr: chosen.includes('stderr'),
  };
}

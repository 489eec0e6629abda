/** `mydocker exec`: a further process in a running container. */
import { ExecTaskRequest } from '../../proto/gen/mydocker/v1/tasks.ts';
import { execTask } from '../api/tasks.ts';
import { attachSession } from '../attach/attach-session.ts';
import { exitStatus } from '../attach/exit-status.ts';
import { requireTerminal } from '../attach/require-terminal.ts';
import type { Action } from '../grammar/command.ts';
import type { EXEC_OPTIONS } from '../grammar/command-options.ts';
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from '../parse/parse-detach-keys.ts';
import { parseEnvironment } from '../parse/parse-key-value.ts';
import { UsageError } from '../usage-error.ts';

export const exec: Action<typeof EXEC_OPTIONS> = async ({ options, positionals }, context) => {
  const [container = '', ...words] = positionals;
  const args = words[0] === '--' ? words.slice(1) : words;
  if (args.length === 0) {
    throw new UsageError('no command given', { hint: 'mydocker exec CONTAINER COMMAND [ARG…]' });
  }
  const detachKeys = parseDetachKeys(options.detachKeys ?? DEFAULT_DETACH_KEYS);
  const { interactive = false, tty = false, detach = false } = options;
  const process = {
    args,
    env: parseEnvironment(options.env, options.envFile, context.env),
    ...(options.workdir === undefined ? {} : { workingDir: options.workdir }),
    ...(options.user === undefined ? {} : { user: options.user }),
    terminal: tty,
    openStdin: interactive,
    privileged: options.privileged ?? false,
  };
  if (detach) {
    await context.connect().unary(execTask, ExecTaskRequest.create({ container, process }));
    return 0;
  }
  if (tty && interactive) requireTerminal();
  const { exit } = await attachSession(context, {
    // Nobody else can reach it, so it does not outlive the client that started it.
    open: { container, exec: process, killOnDisconnect: true },
    terminal: tty,
    stdin: interactive,
    stdout: true,
    stderr: true,
    sigProxy: true,
    detachKeys,
  });
  return exit === undefined ? 0 : exitStatus(container, exit);
};

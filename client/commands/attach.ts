/** `mydocker attach`, and what `start -a` shares with it. */
import type { Container } from '../../proto/gen/mydocker/v1/containers.ts';
import { TaskStatus } from '../../proto/gen/mydocker/v1/types.ts';
import { getContainer } from '../api/containers.ts';
import { attachSession } from '../attach/attach-session.ts';
import { exitStatus } from '../attach/exit-status.ts';
import { requireTerminal } from '../attach/require-terminal.ts';
import type { Context } from '../context.ts';
import type { Action } from '../grammar/command.ts';
import type { ATTACH_OPTIONS } from '../grammar/command-options.ts';
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from '../parse/parse-detach-keys.ts';
import { Code, RpcError } from '../transport/rpc-error.ts';

/** How to attach to a container. */
export interface AttachChoices {
  readonly stdin: boolean;
  readonly sigProxy: boolean;
  readonly detachKeys: string | undefined;
  /** Starts it where it does not run. */
  readonly start: boolean;
}

export const attach: Action<typeof ATTACH_OPTIONS> = async ({ options, positionals: [name = ''] }, context) =>
  await attachTo(context, name, {
    stdin: !options.noStdin,
    sigProxy: options.sigProxy ?? true,
    detachKeys: options.detachKeys,
    start: false,
  });

/** Attaches to a container until its end. @returns its exit status; 0 where the person left. */
export async function attachTo(context: Context, name: string, choices: AttachChoices): Promise<number> {
  const detachKeys = parseDetachKeys(choices.detachKeys ?? DEFAULT_DETACH_KEYS);
  const container = await find(context, name);
  const running = container.status === TaskStatus.RUNNING || container.status === TaskStatus.PAUSED;
  if (!running && !choices.start) {
    throw new RpcError(Code.FAILED_PRECONDITION, `cannot attach to container ${name}: it does not run`, {
      hint: `mydocker start -a ${name}`,
    });
  }
  const terminal = container.config?.terminal ?? false;
  const stdin = choices.stdin && (container.config?.openStdin ?? false);
  if (terminal && stdin) requireTerminal();
  const { exit } = await attachSession(context, {
    open: { container: container.id, start: !running },
    terminal,
    redraw: running,
    stdin,
    stdout: true,
    stderr: true,
    sigProxy: choices.sigProxy && !terminal,
    detachKeys,
  });
  return exit === undefined ? 0 : exitStatus(container.id, exit);
}

async function find(context: Context, name: string): Promise<Container> {
  const { container } = await context.connect().unary(getContainer, { container: name, size: false });
  if (container !== undefined) return container;
  throw new RpcError(Code.INTERNAL, `cannot find container ${name}: the server's answer is empty`);
}

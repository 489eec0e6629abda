/** What requests about tasks have in common, from the wire. */
import type { ProcessConfig } from '../../proto/gen/mydocker/v1/containers.ts';
import type { StopTaskRequest } from '../../proto/gen/mydocker/v1/tasks.ts';
import type { TerminalSize } from '../../proto/gen/mydocker/v1/types.ts';
import type { ContainerRecord } from '../model/container.ts';
import { invalidArgument } from '../model/error.ts';
import { parseSignal } from '../model/signal.ts';
import type { ExecRequest } from '../ops/prepare-exec.ts';
import { refuseRest } from './refuse-rest.ts';

/** struct winsize has 16 bits for each. */
const MAX_SIDE = 65_535;
/** The contract's first size of a terminal. */
const USUAL_SIZE: TerminalSize = { columns: 80, rows: 24 };

/** @throws MydockerError `invalid-argument`. */
export function decodeSize(size: TerminalSize | undefined): { readonly terminalSize?: TerminalSize } {
  if (size === undefined) return {};
  const { columns, rows } = size;
  if (columns < 1 || columns > MAX_SIDE || rows < 1 || rows > MAX_SIDE)
    throw invalidArgument(`invalid terminal size ${columns} by ${rows}: both are from 1 to ${MAX_SIDE}`, {
      reason: 'TERMINAL_SIZE_INVALID',
    });
  return { terminalSize: { columns, rows } };
}

/** As {@link decodeSize}, the usual size where none is given. */
export function sizeOrUsual(size: TerminalSize | undefined): TerminalSize {
  return decodeSize(size).terminalSize ?? USUAL_SIZE;
}

/** @throws MydockerError `invalid-argument` for a text that is no signal. */
export function signalOrNone(text: string): number | undefined {
  return text === '' ? undefined : parseSignal(text);
}

/** @throws MydockerError `unimplemented` for what this version lacks. */
export function decodeProcess(
  process: ProcessConfig | undefined,
): Omit<ExecRequest, 'container' | 'terminalSize'> {
  const { args, env, workingDir, user, terminal, openStdin, privileged, ...rest } = process ?? NO_PROCESS;
  refuseRest('process', rest);
  if (args.length === 0 || args[0] === '')
    throw invalidArgument('cannot execute: no command was given', { reason: 'COMMAND_MISSING' });
  return { args, env, workingDir, user, terminal, openStdin, privileged };
}

const NO_PROCESS: Pick<ProcessConfig, 'args' | 'env' | 'terminal' | 'openStdin' | 'privileged'> & {
  readonly workingDir?: string;
  readonly user?: string;
} = {
  args: [],
  env: [],
  terminal: false,
  openStdin: false,
  privileged: false,
};

/** What to stop, and how. */
export interface Stop {
  readonly container: string;
  readonly signal: number | undefined;
  /** Negative: without end. */
  readonly timeoutMs: number | undefined;
}

/** @throws MydockerError `invalid-argument`. */
export function decodeStop(
  record: ContainerRecord,
  { signal, timeoutMs }: Pick<StopTaskRequest, 'signal' | 'timeoutMs'>,
): Stop {
  if (timeoutMs !== undefined && timeoutMs < -1)
    throw invalidArgument(`invalid timeout ${timeoutMs}: it is neither a number of milliseconds nor -1`, {
      reason: 'TIMEOUT_INVALID',
    });
  return { container: record.id, signal: signalOrNone(signal), timeoutMs };
}

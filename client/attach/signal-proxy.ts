/** Signals that this process gets, passed on to the container's, as if it were a child of the shell. */
import { constants } from 'node:os';
import { killTask } from '../api/tasks.ts';
import { printError } from '../output.ts';
import { showId } from '../render/values.ts';
import type { Connection } from '../transport/connection.ts';

/** Not SIGKILL and SIGSTOP, which nobody can catch, nor those about this process's own terminal, pipes and children. */
const PASSED_ON: readonly NodeJS.Signals[] = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
];

/** Of these the third one ends this process: a process 1 without handlers ignores them all. */
const ENDING: ReadonlySet<NodeJS.Signals> = new Set(['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM']);
const PATIENCE = 3;

/** Signals on their way to a run. */
export interface SignalProxy {
  /** Which run gets them from now on. */
  aim(runId: string): void;
  /** From now on they act on this process again. */
  stop(): void;
}

/**
 * Passes signals on until stopped.
 * @param container - as in the contract.
 * @param beforeLeaving - called when impatience ends this process.
 * @param toRunOnly - nothing is sent before {@link SignalProxy.aim}: an empty run id would mean the container's process.
 */
export function proxySignals(
  connection: Connection,
  container: string,
  toRunOnly: boolean,
  beforeLeaving: () => void,
): SignalProxy {
  let runId = '';
  let endings = 0;
  const pass = (signal: NodeJS.Signals): void => {
    if (ENDING.has(signal)) endings += 1;
    if (endings >= PATIENCE) {
      beforeLeaving();
      printError(`mydocker: left after ${PATIENCE} signals; container ${showId(container)} may still run\n`);
      process.exit(128 + (constants.signals[signal] ?? 0));
    }
    if (toRunOnly && runId === '') return;
    // It may be over already, or not begun: then there is nothing to tell.
    void connection
      .unary(killTask, { requestId: '', container, signal, runId, all: false })
      .catch(() => undefined);
  };
  for (const signal of PASSED_ON) process.on(signal, pass);
  return {
    aim: (id) => {
      runId = id;
    },
    stop: () => {
      for (const signal of PASSED_ON) process.off(signal, pass);
    },
  };
}

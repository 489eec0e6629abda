/** Whether a container's shim would answer: told without asking it, so that lists never wait for one that hangs. */
import { readFileSync } from 'node:fs';
import type { ContainerRecord } from '../model/container.ts';
import type { Engine } from './engine.ts';

/** Stopped by a signal or a debugger. */
const STOPPED = /^[Tt]$/;

/** Of a container that does not run: false. */
export function isNotResponding({ runs }: Pick<Engine, 'runs'>, { id, status }: ContainerRecord): boolean {
  if (status !== 'running' && status !== 'paused') return false;
  const run = runs.initOf(id);
  // A server that has just begun has not found it yet.
  if (run === undefined) return true;
  return run.connection.silent || (run.created !== undefined && isStopped(run.created.shimPid));
}

function isStopped(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name before it may hold anything but the last bracket.
    return STOPPED.test(stat.charAt(stat.lastIndexOf(')') + 2));
  } catch {
    // It is gone; its end is told on another way.
    return false;
  }
}

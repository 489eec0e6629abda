/** Docker's words for what a container is doing. */
import { TaskStatus } from '../../proto/gen/mydocker/v1/types.ts';

const STATES: Readonly<Record<number, string>> = {
  [TaskStatus.CREATED]: 'created',
  [TaskStatus.STARTING]: 'created',
  [TaskStatus.RUNNING]: 'running',
  [TaskStatus.PAUSED]: 'paused',
  [TaskStatus.RESTARTING]: 'restarting',
  [TaskStatus.REMOVING]: 'removing',
  [TaskStatus.STOPPED]: 'exited',
};

/** `running`, `exited` … */
export function dockerState(status: TaskStatus): string {
  return STATES[status] ?? 'dead';
}

/**
 * The life of a task as a table: which status follows which event. An empty cell is a refusal. This is the
 * only writer of a status.
 */
import type { TaskStatus } from './container.ts';
import { cannot } from './error.ts';

/**
 * `start`: somebody asks for a run; `run`: the process has begun; `pause`, `resume`: everything stands still, and goes
 * on; `exit`: the run is over, or could not begin; `delete`: the container goes.
 */
export type TaskEvent = 'start' | 'run' | 'pause' | 'resume' | 'exit' | 'delete';

const NEXT = {
  created: { start: 'starting', delete: 'deleted' },
  starting: { run: 'running', exit: 'stopped' },
  running: { pause: 'paused', exit: 'stopped' },
  paused: { resume: 'running', exit: 'stopped' },
  stopped: { start: 'starting', delete: 'deleted' },
} as const satisfies Record<TaskStatus, Partial<Record<TaskEvent, TaskStatus | 'deleted'>>>;

/** What the event is called in "cannot … container". */
const VERB: Record<TaskEvent, string> = {
  start: 'start',
  run: 'run',
  pause: 'pause',
  resume: 'unpause',
  exit: 'end',
  delete: 'remove',
};

/** Where a status goes with an event, or undefined where it cannot. */
export function nextStatus(from: TaskStatus, event: TaskEvent): TaskStatus | 'deleted' | undefined {
  const row: Partial<Record<TaskEvent, TaskStatus | 'deleted'>> = NEXT[from];
  return row[event];
}

/**
 * The status after an event.
 * @param name - container name, for the message.
 * @throws MydockerError `failed-precondition` (reason CONTAINER_STATUS), `cannot remove container web: it is running`.
 */
export function transition(from: TaskStatus, event: Exclude<TaskEvent, 'delete'>, name: string): TaskStatus;
export function transition(from: TaskStatus, event: TaskEvent, name: string): TaskStatus | 'deleted';
export function transition(from: TaskStatus, event: TaskEvent, name: string): TaskStatus | 'deleted' {
  const to = nextStatus(from, event);
  if (to !== undefined) return to;
  const isAlready = (event === 'start' && from === 'running') || (event === 'pause' && from === 'paused');
  const hint = hintFor(from, event, name);
  throw cannot(
    'failed-precondition',
    VERB[event],
    'container',
    name,
    `it is ${isAlready ? 'already ' : ''}${from}`,
    {
      reason: 'CONTAINER_STATUS',
      metadata: { status: from },
      ...(hint === undefined ? {} : { hint }),
    },
  );
}

function hintFor(from: TaskStatus, event: TaskEvent, name: string): string | undefined {
  if (event === 'delete') return 'stop it first, or remove it with -f';
  if (from === 'paused') return `mydocker unpause ${name}`;
  return event === 'pause' && from !== 'running' ? 'start it first' : undefined;
}

/** Whether a process of this container may exist. */
export function isAlive(status: TaskStatus): boolean {
  return status === 'starting' || status === 'running' || status === 'paused';
}

/**
 * Events in Docker's words: names of actions, attributes, and the object that templates and JSON see. What Docker has no
 * word for keeps the contract's, with underscores.
 */
import { type Event, EventAction, EventSubject } from '../../proto/gen/mydocker/v1/events.ts';
import { goMap } from '../inspect/go-values.ts';
import { showInstant, showReference } from './values.ts';

const ACTIONS: Readonly<Record<number, string>> = {
  [EventAction.EXIT]: 'die',
  [EventAction.RESUME]: 'unpause',
  [EventAction.REMOVE]: 'destroy',
  [EventAction.EXEC_EXIT]: 'exec_die',
  [EventAction.HEALTH]: 'health_status',
};
const NS = 1_000_000_000n;

/** `container`, `image`, `network`, `volume`, `daemon`. */
function eventType({ subject }: Event): string {
  return subject === EventSubject.SERVER ? 'daemon' : wordOf(EventSubject, subject);
}

/** `die`, `exec_create` … */
function eventAction({ action, subject }: Event): string {
  // An image is deleted, everything else destroyed.
  if (action === EventAction.REMOVE && subject === EventSubject.IMAGE) return 'delete';
  return ACTIONS[action] ?? wordOf(EventAction, action);
}

/** Words that may be typed for kinds of objects. */
export function typeWords(): Readonly<Record<string, EventSubject>> {
  const words = Object.entries(EventSubject).map(([name, value]) => [name.toLowerCase(), value] as const);
  return {
    ...Object.fromEntries(words.filter(([name]) => name !== 'unspecified')),
    daemon: EventSubject.SERVER,
  };
}

/** Words that may be typed for actions: Docker's, and the contract's with dashes or underscores. */
export function actionWords(): Readonly<Record<string, EventAction>> {
  const own = Object.entries(EventAction).flatMap(([name, value]) =>
    name === 'UNSPECIFIED'
      ? []
      : [[name.toLowerCase(), value] as const, [name.toLowerCase().replaceAll('_', '-'), value] as const],
  );
  const dockers = Object.entries(ACTIONS).map(([value, name]) => [name, Number(value)] as const);
  return { ...Object.fromEntries([...own, ...dockers]), delete: EventAction.REMOVE };
}

/** Labels of the object and details of the event, by Docker's names, in order of them. */
function eventAttributes(event: Event): Readonly<Record<string, string>> {
  // Said by the exit, the action and the name.
  const { exitStatus: _, old_name: oldName, args: __, reference: ___, ...rest } = event.attributes;
  const isExec = wordOf(EventAction, event.action).startsWith('exec_');
  return goMap(
    Object.entries({
      ...event.labels,
      ...rest,
      ...(oldName === undefined ? {} : { oldName: `/${oldName}` }),
      ...(event.exit === undefined ? {} : { exitCode: String(event.exit.exitStatus) }),
      ...(event.image === '' ? {} : { image: event.image }),
      ...(event.name === '' ? {} : { name: nameOf(event) }),
      ...(isExec ? { execID: event.runId } : {}),
    }),
  );
}

/** An image's is a reference as people type it. */
function nameOf({ subject, name }: Event): string {
  return subject === EventSubject.IMAGE && name.includes('/') ? showReference(name) : name;
}

/** `2026-11-22T03:13:00.123456789Z container die ID (exitCode=0, image=busybox, name=web)`. */
export function eventLine(event: Event): string {
  const shown = Object.entries(eventAttributes(event)).map(([key, value]) => `${key}=${value}`);
  const time = event.at === undefined ? '' : `${showInstant(event.at)} `;
  const tail = shown.length === 0 ? '' : ` (${shown.join(', ')})`;
  return `${time}${eventType(event)} ${withArgs(event)} ${event.id}`.trimEnd() + tail;
}

/** The object of `--format`. */
export function dockerEvent(event: Event): Readonly<Record<string, unknown>> {
  const action = withArgs(event);
  const { seconds = 0n, nanos = 0 } = event.at ?? {};
  return {
    status: action,
    id: event.id,
    from: event.image,
    Type: eventType(event),
    Action: action,
    Actor: { ID: event.id, Attributes: eventAttributes(event) },
    scope: 'local',
    time: Number(seconds),
    timeNano: seconds * NS + BigInt(nanos),
    Mydocker: { Seq: Number(event.seq), RunId: event.runId },
  };
}

/** What is executed stands behind the action, as with Docker. */
function withArgs(event: Event): string {
  const action = eventAction(event);
  const { args } = event.attributes;
  return args === undefined ? action : `${action}: ${args}`;
}

function wordOf(names: Readonly<Record<string, number>>, value: number): string {
  return (Object.keys(names).find((name) => names[name] === value) ?? String(value)).toLowerCase();
}

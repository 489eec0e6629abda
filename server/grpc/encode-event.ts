/** Events on the wire: the log's topics are words, the contract's are enums. */
import { type Event, EventAction, EventSubject } from '../../proto/gen/mydocker/v1/events.ts';
import type { EventKind, EventRecord } from '../model/event.ts';
import { encodeExit } from './encode-run.ts';
import { toTimestamp } from './timestamp.ts';

const SUBJECT: Readonly<Record<EventKind, EventSubject>> = {
  container: EventSubject.CONTAINER,
  image: EventSubject.IMAGE,
  network: EventSubject.NETWORK,
  volume: EventSubject.VOLUME,
  system: EventSubject.SERVER,
};

/** Topics that have another word in the contract. */
const OTHER_WORDS: Readonly<Record<string, EventAction>> = {
  die: EventAction.EXIT,
  destroy: EventAction.REMOVE,
  delete: EventAction.REMOVE,
};

const ACTIONS: Readonly<Record<string, EventAction>> = EventAction;

/** `container.task-create` is TASK_CREATE; a topic that the contract does not know is UNSPECIFIED. */
export function encodeAction(type: string): EventAction {
  const [subject = '', word = ''] = type.split('.', 2);
  const name = word.toUpperCase().replaceAll('-', '_');
  if (subject === 'system') return ACTIONS[`SERVER_${name}`] ?? EventAction.UNSPECIFIED;
  return OTHER_WORDS[word] ?? ACTIONS[name] ?? EventAction.UNSPECIFIED;
}

/** @returns undefined for a kind of which there are none here. */
export function decodeSubject(subject: EventSubject): EventKind | undefined {
  return (Object.keys(SUBJECT) as EventKind[]).find((kind) => SUBJECT[kind] === subject);
}

/** @param labels - of its object. */
export function encodeEvent(event: EventRecord, labels: Readonly<Record<string, string>>): Event {
  const { name, image, ...attributes } = event.attributes ?? {};
  return {
    seq: event.seq,
    at: toTimestamp(event.at),
    subject: SUBJECT[event.kind],
    action: encodeAction(event.type),
    id: event.id,
    name: name ?? (event.kind === 'image' ? (attributes['reference'] ?? '') : ''),
    rev: event.rev ?? 0n,
    runId: event.runId ?? '',
    exit: event.exit === undefined ? undefined : encodeExit(event.runId ?? '', event.exit),
    image: image ?? '',
    labels,
    attributes,
  };
}

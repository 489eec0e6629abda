/** `mydocker events`: what changes, a line each. */
import {
  type Event,
  EventAction,
  EventSubject,
  SubscribeEventsRequest,
} from '../../proto/gen/mydocker/v1/events.ts';
import { subscribeEvents } from '../api/events.ts';
import type { Action } from '../grammar/command.ts';
import type { EVENTS_OPTIONS } from '../grammar/command-options.ts';
import type { Arguments } from '../grammar/option.ts';
import { print } from '../output.ts';
import { labelConditions, oneOf, parseFilters } from '../parse/parse-filters.ts';
import { parseWhen } from '../parse/parse-when.ts';
import { renderJsonLine } from '../render/json.ts';
import { printable } from '../render/printable.ts';
import { showInstant } from '../render/values.ts';

const FILTERS = ['type', 'event', 'container', 'image', 'network', 'label', 'label!'] as const;

export const events: Action<typeof EVENTS_OPTIONS> = async (args, context) => {
  const { json } = args.options;
  for await (const page of context.connect().serverStream(subscribeEvents, request(args))) {
    for (const event of page.events) print(json ? renderJsonLine(named(event)) : line(event));
  }
  return 0;
};

function request({ options }: Arguments<typeof EVENTS_OPTIONS>): SubscribeEventsRequest {
  const { since, until } = options;
  const given = parseFilters(options.filter, FILTERS);
  return SubscribeEventsRequest.create({
    ...(since === undefined ? {} : { start: { $case: 'sinceAt', value: parseWhen('--since', since) } }),
    ...(until === undefined ? {} : { untilAt: parseWhen('--until', until) }),
    subjects: given.type.map((text) => oneOf<EventSubject>('type', text, words(EventSubject))),
    actions: given.event.map((text) => oneOf<EventAction>('event', text, words(EventAction))),
    containers: given.container,
    images: given.image,
    networks: given.network,
    labels: labelConditions(given.label, given['label!']),
  });
}

/** `2026-11-22T03:13:00.123456789Z container start ID (image=busybox, name=web)`. */
function line(event: Event): string {
  const { subject, action } = named(event);
  // The exit's message says the same in more words than an attribute can.
  const { exitStatus: _, ...attributes } = event.attributes;
  const details = {
    ...attributes,
    ...(event.exit === undefined ? {} : { exit_status: String(event.exit.exitStatus) }),
    ...(event.image === '' ? {} : { image: event.image }),
    ...(event.name === '' ? {} : { name: event.name }),
    ...(event.runId === '' ? {} : { run_id: event.runId }),
  };
  const shown = Object.entries(details).map(([key, value]) => `${key}=${value}`);
  const time = event.at === undefined ? '' : `${showInstant(event.at)} `;
  const tail = shown.length === 0 ? '' : ` (${shown.join(', ')})`;
  return `${time}${printable(`${subject} ${action} ${event.id}`.trimEnd() + tail)}\n`;
}

/** With words in the place of numbers. */
function named(event: Event): Omit<Event, 'subject' | 'action'> & { subject: string; action: string } {
  const word = <T>(names: Readonly<Record<string, T>>, value: T): string =>
    Object.keys(names).find((name) => names[name] === value) ?? String(value);
  return {
    ...event,
    subject: word(words(EventSubject), event.subject),
    action: word(words(EventAction), event.action),
  };
}

/** The contract's names as people type them: EXEC_START is exec-start. */
function words<T extends number>(names: Readonly<Record<string, T>>): Record<string, T> {
  const typed = Object.entries(names).map(([name, value]) => [
    name.toLowerCase().replaceAll('_', '-'),
    value,
  ]);
  return Object.fromEntries(typed.filter(([name]) => name !== 'unspecified'));
}

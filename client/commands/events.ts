/** `mydocker events`: what changes, a line each. */
import {
  type Event,
  EventAction,
  EventSubject,
  SubscribeEventsRequest,
} from '../../proto/gen/mydocker/v1/events.ts';
import { subscribeEvents } from '../api/events.ts';
import type { Action } from '../grammar/command.ts';
import type { Arguments } from '../grammar/option.ts';
import type { EVENTS_OPTIONS } from '../grammar/server-options.ts';
import { print } from '../output.ts';
import { labelConditions, oneOf, parseFilters } from '../parse/parse-filters.ts';
import { parseWhen } from '../parse/parse-when.ts';
import { actionWords, dockerEvent, eventLine, typeWords } from '../render/event-words.ts';
import { renderJsonLine } from '../render/json.ts';
import { printable } from '../render/printable.ts';

const FILTERS = ['type', 'event', 'container', 'image', 'network', 'volume', 'label', 'label!'] as const;

export const events: Action<typeof EVENTS_OPTIONS> = async (args, context) => {
  const { json, format } = args.options;
  const render = json ? (event: Event): string => renderJsonLine(named(event)) : await renderer(format);
  for await (const page of context.connect().serverStream(subscribeEvents, request(args))) {
    for (const event of page.events) print(render(event));
  }
  return 0;
};

/** @throws UsageError for a template that cannot be read, before the server is asked. */
async function renderer(format: string | undefined): Promise<(event: Event) => string> {
  if (format === undefined) return (event) => `${printable(eventLine(event))}\n`;
  const { objectFormat } = await import('../render/object-format.ts');
  const render = objectFormat(format, "json or a template such as '{{.Action}} {{.Actor.Attributes.name}}'");
  return (event) => render(dockerEvent(event));
}

function request({ options }: Arguments<typeof EVENTS_OPTIONS>): SubscribeEventsRequest {
  const { since, until } = options;
  const given = parseFilters(options.filter, FILTERS);
  const [types, actions] = [typeWords(), actionWords()];
  return SubscribeEventsRequest.create({
    ...(since === undefined ? {} : { start: { $case: 'sinceAt', value: parseWhen('--since', since) } }),
    ...(until === undefined ? {} : { untilAt: parseWhen('--until', until) }),
    subjects: given.type.map((text) => oneOf<EventSubject>('type', text, types)),
    actions: given.event.map((text) => oneOf<EventAction>('event', text, actions)),
    containers: given.container,
    images: given.image,
    networks: given.network,
    volumes: given.volume,
    labels: labelConditions(given.label, given['label!']),
  });
}

/** With words in the place of numbers. */
function named(event: Event): Omit<Event, 'subject' | 'action'> & { subject: string; action: string } {
  const word = (names: Readonly<Record<string, number>>, value: number): string =>
    (Object.keys(names).find((name) => names[name] === value) ?? String(value))
      .toLowerCase()
      .replaceAll('_', '-');
  return {
    ...event,
    subject: word(EventSubject, event.subject),
    action: word(EventAction, event.action),
  };
}

/** mydocker.v1.EventsService: decode, one operation, encode. */
import {
  EventAction,
  EventSubject,
  type EventsServiceDefinition,
  type SubscribeEventsRequest,
} from '../../proto/gen/mydocker/v1/events.ts';
import type { EventKind } from '../model/event.ts';
import type { Engine } from '../ops/engine.ts';
import { labelsOf, type SubscribeRequest, subscribeEvents } from '../ops/subscribe-events.ts';
import { decodeLabels } from './decode-filter.ts';
import { decodeSubject, encodeAction, encodeEvent } from './encode-event.ts';
import type { Implementation } from './handlers.ts';
import { fromTimestamp } from './timestamp.ts';

export function eventsService(engine: Engine): Implementation<typeof EventsServiceDefinition> {
  return {
    async *subscribeEvents(request, { signal }) {
      for await (const page of subscribeEvents(engine, decode(request, signal))) {
        const events = page.events.map((event) => encodeEvent(event, labelsOf(engine, event)));
        yield { events, caughtUp: page.caughtUp, lastSeq: page.lastSeq };
      }
    },
  };
}

function decode(request: SubscribeEventsRequest, abort: AbortSignal): SubscribeRequest {
  const { containers, images, networks, volumes, untilAt } = request;
  const start = decodeStart(request.start);
  const kinds = decodeSubjects(request.subjects);
  const actions = new Set(request.actions);
  const anyAction = actions.size === 0 || actions.has(EventAction.UNSPECIFIED);
  return {
    ...(start === undefined ? {} : { start }),
    ...(untilAt === undefined ? {} : { untilAt: fromTimestamp('until_at', untilAt) }),
    follow: !request.noFollow,
    ...(kinds === undefined ? {} : { kinds }),
    wantsType: (type) => anyAction || actions.has(encodeAction(type)),
    ...{ containers, images, networks, volumes, abort },
    labels: decodeLabels(request.labels),
  };
}

function decodeStart(start: SubscribeEventsRequest['start']): SubscribeRequest['start'] {
  if (start === undefined) return undefined;
  return start.$case === 'afterSeq'
    ? { afterSeq: start.value }
    : { sinceAt: fromTimestamp('since_at', start.value) };
}

/** Kinds of which there are no events must not turn into "any". */
function decodeSubjects(subjects: readonly EventSubject[]): readonly EventKind[] | undefined {
  if (subjects.length === 0 || subjects.includes(EventSubject.UNSPECIFIED)) return undefined;
  return subjects.map(decodeSubject).filter((kind) => kind !== undefined);
}

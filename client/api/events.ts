/** Methods of EventsService, each by itself, so that a bundle holds the codecs of those it calls. */
import { SubscribeEventsRequest, SubscribeEventsResponse } from '../../proto/gen/mydocker/v1/events.ts';
import type { Method } from '../transport/method.ts';

export const subscribeEvents: Method<SubscribeEventsRequest, SubscribeEventsResponse> = {
  path: '/mydocker.v1.EventsService/SubscribeEvents',
  request: SubscribeEventsRequest,
  response: SubscribeEventsResponse,
};

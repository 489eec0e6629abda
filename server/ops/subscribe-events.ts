/**
 * Follows the event log for a client: what is kept, then what happens, without gap or repetition, with the
 * client's conditions applied here so that nobody pays for what nobody wants.
 */
import { MydockerError, outOfRange } from '../model/error.ts';
import type { EventKind, EventRecord } from '../model/event.ts';
import { formatReference, parseReference } from '../model/reference.ts';
import { resolveImage } from '../model/resolve.ts';
import type { Engine } from './engine.ts';
import { findContainer } from './find-container.ts';
import { type LabelCondition, labelsMatch } from './list-containers.ts';

/** Events in one page. */
const PAGE = 100;

export interface SubscribeRequest {
  /** Absent: with what happens from now on. */
  readonly start?: { readonly afterSeq: bigint } | { readonly sinceAt: bigint };
  /** ns since epoch; ends before the first event at or after it. */
  readonly untilAt?: bigint;
  /** Whether it goes on after what is kept. */
  readonly follow: boolean;
  /** Absent: all. */
  readonly kinds?: readonly EventKind[];
  /** Says whether a type is wanted; what is wanted is the API's business. */
  readonly wantsType: (type: string) => boolean;
  readonly containers: readonly string[];
  readonly images: readonly string[];
  readonly networks: readonly string[];
  /** By name. */
  readonly volumes: readonly string[];
  readonly labels: readonly LabelCondition[];
  readonly abort: AbortSignal;
}

export interface EventPage {
  readonly events: readonly EventRecord[];
  /** True in exactly one page: what was kept has been sent. */
  readonly caughtUp: boolean;
  /** Everything up to here was looked at. */
  readonly lastSeq: bigint;
}

/**
 * @throws MydockerError `out-of-range` (EVENTS_GONE) where events to come after are not kept any more;
 * `resource-exhausted` for a reader that is too slow.
 */
export async function* subscribeEvents(
  engine: Pick<Engine, 'store'>,
  request: SubscribeRequest,
): AsyncGenerator<EventPage, undefined, undefined> {
  const { events } = engine.store;
  const matches = matcher(engine, request);
  const limit = new AbortController();
  const abort = AbortSignal.any([request.abort, limit.signal]);
  let lastSeq = firstSeq(engine, request);
  let page: EventRecord[] = [];
  const { untilAt } = request;
  for await (const event of events.since(lastSeq, { follow: false, signal: abort })) {
    if (untilAt !== undefined && event.at >= untilAt) break;
    lastSeq = event.seq;
    if (isOld(request, event) || !matches(event)) continue;
    page.push(event);
    if (page.length < PAGE) continue;
    yield { events: page, caughtUp: false, lastSeq };
    page = [];
  }
  yield { events: page, caughtUp: true, lastSeq };
  if (!request.follow) return;
  const timer = untilAt === undefined ? undefined : endAt(untilAt, limit);
  try {
    for await (const event of events.since(lastSeq, { signal: abort })) {
      if (untilAt !== undefined && event.at >= untilAt) return;
      if (matches(event)) yield { events: [event], caughtUp: false, lastSeq: event.seq };
    }
  } finally {
    clearInterval(timer);
  }
}

/** A timer cannot be set for more than 24 days, so the clock is looked at. */
function endAt(untilAt: bigint, limit: AbortController): NodeJS.Timeout {
  const untilMs = Number(untilAt / 1_000_000n);
  if (Date.now() >= untilMs) limit.abort();
  const timer = setInterval(() => {
    if (Date.now() >= untilMs) limit.abort();
  }, CLOCK_MS);
  return timer.unref();
}

const CLOCK_MS = 250;

function firstSeq({ store: { events } }: Pick<Engine, 'store'>, { start }: SubscribeRequest): bigint {
  if (start === undefined) return events.lastSeq;
  const oldest = events.firstSeq - 1n;
  if ('sinceAt' in start || start.afterSeq === 0n) return oldest;
  if (start.afterSeq >= oldest) return start.afterSeq;
  throw outOfRange(
    `cannot follow events after ${start.afterSeq}: the oldest one kept is ${events.firstSeq}`,
    {
      reason: 'EVENTS_GONE',
      hint: 'read the state anew, then follow from the last sequence number',
      metadata: { oldest_seq: String(events.firstSeq) },
    },
  );
}

function isOld({ start }: SubscribeRequest, event: EventRecord): boolean {
  return start !== undefined && 'sinceAt' in start && event.at < start.sinceAt;
}

type Test = (event: EventRecord) => boolean;

function matcher(engine: Pick<Engine, 'store'>, request: SubscribeRequest): Test {
  const { kinds, wantsType, containers, images, networks, volumes, labels } = request;
  const tests: Test[] = [(event) => wantsType(event.type)];
  if (kinds !== undefined) tests.push((event) => kinds.includes(event.kind));
  const objects: Test[] = [];
  if (containers.length > 0)
    objects.push(
      objectTest(
        'container',
        containers.map((text) => containerTest(engine, text)),
      ),
    );
  if (networks.length > 0) objects.push(objectTest('network', networks.map(namedTest)));
  if (volumes.length > 0) objects.push(objectTest('volume', volumes.map(namedTest)));
  tests.push(...objects);
  if (images.length > 0) tests.push(anyOf(images.map((text) => imageTest(engine, text))));
  if (labels.length > 0) tests.push((event) => labelsMatch(labelsOf(engine, event), labels));
  return (event) => tests.every((test) => test(event));
}

function objectTest(kind: EventKind, tests: readonly Test[]): Test {
  const any = anyOf(tests);
  return (event) => event.kind === kind && any(event);
}

function anyOf(tests: readonly Test[]): Test {
  return (event) => tests.some((test) => test(event));
}

function namedTest(text: string): Test {
  return ({ id, attributes }) => id === text || attributes?.['name'] === text;
}

/** Also one that is gone, or is still to come: then the text itself is compared. */
function containerTest(engine: Pick<Engine, 'store'>, text: string): Test {
  const named = namedTest(text);
  const id = idOrNone(() => findContainer(engine, text).id);
  if (id !== undefined) return (event) => event.id === id;
  const prefix = /^[0-9a-f]{4,64}$/.test(text);
  return (event) => named(event) || (prefix && event.id.startsWith(text));
}

function imageTest(engine: Pick<Engine, 'store'>, text: string): Test {
  const { images } = engine.store;
  const id = idOrNone(() =>
    resolveImage(text, { ids: images.ids(), idByName: (name) => images.idByReference(name) }),
  );
  const reference = fullReference(text) ?? text;
  return ({ kind, id: eventId, attributes }) =>
    kind === 'image'
      ? eventId === id || eventId === text || attributes?.['reference'] === reference
      : fullReference(attributes?.['image'] ?? '') === reference ||
        (id !== undefined && attributes?.['image'] === id);
}

function idOrNone(find: () => string): string | undefined {
  try {
    return find();
  } catch (error) {
    if (error instanceof MydockerError && error.code === 'not-found') return undefined;
    throw error;
  }
}

function fullReference(text: string): string | undefined {
  try {
    return formatReference(parseReference(text));
  } catch {
    return undefined;
  }
}

/** Labels of an event's object as they are now; none when it is gone. */
export function labelsOf(
  engine: Pick<Engine, 'store'>,
  event: EventRecord,
): Readonly<Record<string, string>> {
  if (event.kind === 'container') return engine.store.containers.get(event.id)?.config.labels ?? {};
  if (event.kind === 'volume') return engine.store.volumes.get(event.id)?.labels ?? {};
  if (event.kind === 'image') return engine.store.images.get(event.id)?.config.labels ?? {};
  return {};
}

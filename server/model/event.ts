/**
 * The record of something that happened, as the event log keeps and the API streams it.
 */
import type { Exit } from './container.ts';

export type EventKind = 'container' | 'image' | 'network' | 'volume' | 'system';

/** What is said about an event by whoever causes it. */
export interface EventInput {
  /** Topic: object, dot, verb or past participle: `container.create`, `container.start`, `container.exit`, `image.tag`. */
  readonly type: string;
  readonly kind: EventKind;
  /** Container id, image id, network id, a volume's name; `''` for the system. */
  readonly id: string;
  /** Run that it belongs to; absent where it belongs to none. */
  readonly runId?: string;
  /** Name, image, signal and the like; few and small. */
  readonly attributes?: Readonly<Record<string, string>>;
  /** With `container.exit` only. */
  readonly exit?: Exit;
}

/** An event as stored. */
export interface EventRecord extends EventInput {
  readonly v: 1;
  /** Place in the log, from 1; grows with each event, may leave gaps, never repeats. */
  readonly seq: bigint;
  /** ns since epoch. */
  readonly at: bigint;
  /** Of the object's record after the change, one more than its last where it was removed; absent: it did not change. */
  readonly rev?: bigint;
}

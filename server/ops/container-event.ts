/**
 * Events about containers: each carries name and image as they were, so that it can be understood when the container is
 * gone.
 */
import type { ContainerRecord, Exit } from '../model/container.ts';
import type { EventInput } from '../model/event.ts';
import type { Engine } from './engine.ts';

/** What an event says beside what it is about. */
export interface EventDetails {
  /** Run concerned; absent: none. */
  readonly runId?: string;
  readonly exit?: Exit;
  readonly attributes?: Readonly<Record<string, string>>;
}

/** @param verb - `start`, `exec-create`: the type without its object. */
export function containerEvent(
  { id, name, config: { rootfs } }: ContainerRecord,
  verb: string,
  details: EventDetails = {},
): EventInput {
  const image = rootfs.kind === 'image' ? rootfs.reference : rootfs.path;
  return {
    ...details,
    type: `container.${verb}`,
    kind: 'container',
    id,
    attributes: { name, image, ...details.attributes },
  };
}

/**
 * Tells of something that changed no record. In the order of the calls, and before anything that is written later; not
 * waited for, since nobody may fail for it.
 * @param container - id; nothing is told of one that is gone.
 */
export function tell(engine: Engine, container: string, verb: string, details: EventDetails = {}): void {
  const record = engine.store.containers.get(container);
  if (record === undefined) return;
  const event = containerEvent(record, verb, details);
  engine.store.events
    .append(event, { sync: false })
    .catch((err: unknown) => engine.log.warn({ err, container, event: event.type }, 'an event is lost'));
}

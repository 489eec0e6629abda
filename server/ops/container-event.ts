/**
 * Events about containers: each carries name and image as they were, so that it can be understood when the container is
 * gone.
 */
import type { ContainerRecord, Exit } from '../model/container.ts';
import type { EventInput } from '../model/event.ts';
import { placesOf } from './container-networks.ts';
import type { Engine } from './engine.ts';

/** There is one kind of network. */
const NETWORK_DRIVER = 'bridge';

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
  if (record !== undefined) append(engine, containerEvent(record, verb, details));
}

/** The interfaces of a container are there, or gone: told of each network that it stands in. */
export function tellNetworks(engine: Engine, record: ContainerRecord, verb: 'connect' | 'disconnect'): void {
  for (const { networkId, network } of placesOf(engine, record))
    tellNetwork(engine, record, { verb, networkId, name: network });
}

/** The same of one network. */
export function tellNetwork(
  engine: Engine,
  { id }: ContainerRecord,
  {
    verb,
    networkId,
    name,
  }: { readonly verb: 'connect' | 'disconnect'; readonly networkId: string; readonly name: string },
): void {
  const attributes = { name, container: id, type: NETWORK_DRIVER };
  append(engine, { type: `network.${verb}`, kind: 'network', id: networkId, attributes });
}

/** Writes an event without a record; as {@link tell} does. */
export function append(engine: Engine, event: EventInput): void {
  engine.store.events
    .append(event, { sync: false })
    .catch((err: unknown) => engine.log.warn({ err, id: event.id, event: event.type }, 'an event is lost'));
}

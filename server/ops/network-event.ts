/** Events about networks themselves; those about who stands in them are in container-event.ts. */
import type { EventInput } from '../model/event.ts';
import type { NetworkRecord } from '../model/network.ts';

/** @param verb - `create`, `destroy`: the type without its object. */
export function networkEvent({ id, name }: NetworkRecord, verb: string): EventInput {
  return { type: `network.${verb}`, kind: 'network', id, attributes: { name, type: 'bridge' } };
}

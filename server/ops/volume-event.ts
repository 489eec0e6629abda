/** Events about volumes. */
import type { ContainerRecord } from '../model/container.ts';
import type { EventInput } from '../model/event.ts';
import { VOLUME_DRIVER } from '../model/volume.ts';
import { append } from './container-event.ts';
import type { Engine } from './engine.ts';

/** @param verb - `create`: the type without its object. */
export const volumeEvent = (
  name: string,
  verb: 'create' | 'destroy' | 'mount' | 'unmount',
  attributes: Readonly<Record<string, string>> = {},
): EventInput => ({
  type: `volume.${verb}`,
  kind: 'volume',
  id: name,
  attributes: { driver: VOLUME_DRIVER, ...attributes },
});

/** The volumes of a container are mounted, or not any more. */
export function tellVolumes(
  engine: Engine,
  { id, config }: ContainerRecord,
  verb: 'mount' | 'unmount',
): void {
  for (const { volume, destination, readOnly } of config.volumes ?? []) {
    const how = { destination, propagation: '', 'read/write': String(!readOnly) };
    append(engine, volumeEvent(volume, verb, { container: id, ...(verb === 'mount' ? how : {}) }));
  }
}

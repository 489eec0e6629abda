/** Another name for a container; its id, and what runs, stay as they are. */
import type { ContainerRecord } from '../model/container.ts';
import { cannot } from '../model/error.ts';
import { parseName } from '../model/name.ts';
import { containerEvent } from './container-event.ts';
import { writeConfig } from './container-folders.ts';
import { containerFolder, type Engine } from './engine.ts';
import { expectRev, findContainer } from './find-container.ts';

export interface RenameRequest {
  /** Id, name or unique prefix. */
  readonly container: string;
  readonly newName: string;
  /** Refused unless it has this rev; absent or 0n: whatever. */
  readonly expectedRev?: bigint;
}

/**
 * @returns the record with its new name.
 * @throws MydockerError `not-found`, `invalid-argument`, `already-exists` for a name that is taken or its own,
 * `aborted` for another rev.
 */
export async function renameContainer(engine: Engine, request: RenameRequest): Promise<ContainerRecord> {
  const { id } = findContainer(engine, request.container);
  const newName = parseName(request.newName);
  return await engine.queues.run('container', id, async () => {
    const record = findContainer(engine, id);
    expectRev('rename', record, request.expectedRev ?? 0n);
    if (record.name === newName)
      throw cannot('already-exists', 'rename', 'container', record.name, 'it has that name', {
        reason: 'NAME_IN_USE',
        metadata: { name: newName, holder: id },
      });
    using _reserved = engine.store.containers.reserveName(newName, id);
    // What a lost record would be rebuilt from, before the record itself.
    writeConfig(containerFolder(engine.paths, id), { ...record, name: newName });
    const attributes = { name: newName, old_name: record.name };
    const event = containerEvent(record, 'rename', { attributes });
    return await engine.store.containers.update(id, (now) => ({ ...now, name: newName }), { event });
  });
}

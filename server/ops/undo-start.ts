/** What takes a start back that came to nothing. */
import { reapCgroup } from '../cgroup/reap.ts';
import type { ContainerRecord, Exit } from '../model/container.ts';
import type { LiveRun } from '../task/runs.ts';
import { tellNetworks } from './container-event.ts';
import { closeScope } from './container-scope.ts';
import { cgroupPathOf, type Engine } from './engine.ts';
import { discardRunFolder, type Ending, removeIfAsked } from './finish-run.ts';
import { keepTrying } from './keep-trying.ts';
import { releasePorts } from './publish-ports.ts';
import { tellVolumes } from './volume-event.ts';

/**
 * Puts a container back where it was; what the shim made is gone already, or is removed here.
 * @param written - the record of the start.
 * @param exit - what is told of it; absent: nothing, another start follows at once.
 */
export async function undoStart(
  engine: Engine,
  before: ContainerRecord,
  live: LiveRun & Ending,
  written: Promise<ContainerRecord>,
  exit: Exit | undefined,
): Promise<void> {
  const undo = async (): Promise<void> => {
    await live.connection.giveUp();
    releasePorts(engine, before.id);
    await reapCgroup(engine.cgroups.layout, cgroupPathOf(engine, before));
    await closeScope(engine, cgroupPathOf(engine, before));
    discardRunFolder(live.folder, live.connection);
    const starting = await written.catch(() => undefined);
    const now = engine.store.containers.get(before.id);
    if (starting === undefined || now?.run?.runId !== live.runId) return;
    const { run: _, ...rest } = now;
    const earlier = before.run === undefined ? {} : { run: before.run };
    const told = exit === undefined ? {} : { exit };
    await engine.store.containers.put({ ...rest, ...earlier, status: before.status, ...told });
    if (live.created === undefined) return;
    tellNetworks(engine, now, 'disconnect');
    tellVolumes(engine, now, 'unmount');
  };
  await keepTrying(engine.log, 'undo a start', before.id, undo, () => {
    engine.runs.remove(live, undefined);
    if (exit !== undefined) void removeIfAsked(engine, before.id);
  });
  if (exit !== undefined) live.end(exit);
}

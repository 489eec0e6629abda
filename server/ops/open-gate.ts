/** The second half of a start that stopped at the gate: the user's program begins, and the record says so. */
import { failpoint } from '../failpoint.ts';
import type { ContainerRecord } from '../model/container.ts';
import type { LiveRun } from '../task/runs.ts';
import { saysOver } from '../task/shim-error.ts';
import { REQUEST } from '../task/shim-protocol.ts';
import { containerEvent } from './container-event.ts';
import type { Engine } from './engine.ts';
import { launchError } from './launch-error.ts';

/** @throws MydockerError as startTask, of the steps behind the gate. */
export async function openGate(
  engine: Engine,
  record: ContainerRecord,
  live: LiveRun,
): Promise<ContainerRecord> {
  try {
    await failpoint('start.gate');
    await live.connection.request(REQUEST.start);
    await live.connection.started;
    return await noteBegun(engine, live);
  } catch (thrown) {
    // Who is told finds it stopped, and can remove it.
    if (saysOver(thrown)) await live.ended;
    throw launchError('start', record.name, live.plan, thrown);
  }
}

/**
 * The process has begun. Whoever sees it first records it: the one who opened the gate, or the server that
 * found the shim there. By now it may be over, too.
 * @returns the record as it is then.
 */
export function noteBegun(
  engine: Engine,
  { containerId: id, runId, created }: LiveRun,
): Promise<ContainerRecord> {
  const { pid = 0, pidStartTime = 0n } = created ?? {};
  const record = engine.store.containers.get(id);
  const details = { runId, attributes: { pid: String(pid) } };
  return engine.store.containers.update(
    id,
    (now) =>
      now.status === 'starting' && now.run?.runId === runId
        ? { ...now, status: 'running', run: { ...now.run, pid, pidStartTime } }
        : now,
    { sync: 'behind', ...(record === undefined ? {} : { event: containerEvent(record, 'start', details) }) },
  );
}

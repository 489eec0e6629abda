/** The processes of a container, as the host sees them: read from /proc, nothing is run inside. */
import { cgroupPids } from '../cgroup/processes.ts';
import { cannot } from '../model/error.ts';
import { isAlive } from '../model/task-state.ts';
import { bootTimeMs, type ProcessFacts, readProcess } from '../task/process-facts.ts';
import type { Engine } from './engine.ts';
import { findContainer } from './find-container.ts';

/**
 * @param container - id, name or unique prefix.
 * @returns in order of their pids on the host.
 * @throws MydockerError `not-found`; `failed-precondition` when it does not run.
 */
export function listProcesses(engine: Engine, container: string): readonly ProcessFacts[] {
  const { name, status, run } = findContainer(engine, container);
  if (run === undefined || !isAlive(status))
    throw cannot(
      'failed-precondition',
      'list the processes of',
      'container',
      name,
      `it is ${status}, not running`,
      {
        reason: 'CONTAINER_NOT_RUNNING',
        metadata: { status },
        hint: 'start it first',
      },
    );
  const bootMs = bootTimeMs();
  return cgroupPids(engine.cgroups.layout, run.cgroupPath)
    .map((pid) => readProcess(pid, bootMs))
    .filter((found) => found !== undefined);
}

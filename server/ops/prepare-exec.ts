/** Everything about an additional process that can be decided before anything is made: who it is, and its plan. */
import { planCgroupExec } from '../cgroup/cgroup-plan.ts';
import { groupToJoin } from '../cgroup/processes.ts';
import { oomKills } from '../cgroup/usage.ts';
import type { ContainerRecord } from '../model/container.ts';
import { cannot } from '../model/error.ts';
import type { OciProcess } from '../model/oci-spec.ts';
import { type Plan, slotAllocator } from '../model/plan.ts';
import { buildExecProcess, type ExecChoice } from '../spec/build-spec.ts';
import { EXEC_INHERITED, planExecProcess } from '../spec/exec-plan.ts';
import type { TerminalSize } from '../spec/process-plan.ts';
import { formatRunHead } from '../task/run-files.ts';
import type { Created } from '../task/shim-connection.ts';
import { type Engine, runFolder } from './engine.ts';
import { findRun } from './kill-task.ts';
import { launchError } from './launch-error.ts';
import { lookUpUser } from './look-up-user.ts';

/** A process as it is asked for; what is left out is the container's. */
export interface ExecRequest extends ExecChoice {
  readonly container: string;
  readonly openStdin: boolean;
  readonly terminalSize: TerminalSize;
}

/** What an exec would launch. */
export interface PreparedExec {
  readonly record: ContainerRecord;
  /** The container's first process. */
  readonly init: Created;
  readonly process: OciProcess;
  readonly plan: Plan;
}

/**
 * Changes nothing.
 * @param runId - 16 hex digits.
 * @throws MydockerError `failed-precondition` when the container does not run, `invalid-argument` for a user it
 * does not know, `resource-exhausted` for arguments that are too long.
 */
export function prepareExec(engine: Engine, request: ExecRequest, runId: string): PreparedExec {
  const run = findRun(engine, 'execute in', { container: request.container });
  const record = engine.store.containers.get(run.containerId);
  if (record?.status === 'paused')
    throw cannot('failed-precondition', 'execute in', 'container', record.name, 'it is paused', {
      reason: 'CONTAINER_PAUSED',
      hint: `mydocker unpause ${record.name}`,
    });
  if (record === undefined || record.status !== 'running' || run.created === undefined)
    throw cannot('failed-precondition', 'execute in', 'container', request.container, 'it is not running', {
      reason: 'CONTAINER_NOT_RUNNING',
      hint: 'start it first',
    });
  const process = buildExecProcess(record.config, request, engine.host, (user) =>
    lookUpUser(engine, record, user),
  );
  return { record, init: run.created, process, plan: planExec(engine, record, request, process, runId) };
}

function planExec(
  engine: Engine,
  record: ContainerRecord,
  request: ExecRequest,
  process: OciProcess,
  runId: string,
): Plan {
  const slots = slotAllocator(EXEC_INHERITED);
  const { layout } = engine.cgroups;
  const path = record.run?.cgroupPath ?? '';
  const { terminal } = request;
  const head = {
    containerId: record.id,
    runId,
    bootId: engine.bootId,
    kind: 'exec',
    terminal,
    logSerial: 0,
    logOffset: 0,
    oomKills: oomKills({ layout, path }),
  } as const;
  const take = (count: number): number[] => Array.from({ length: count }, () => slots.take());
  try {
    return planExecProcess(
      {
        process,
        place: {
          head: formatRunHead(head),
          runFolder: runFolder(engine.paths, runId),
          logSerial: 0,
          logMaxFiles: 0,
          logMaxBytes: 0n,
        },
        openStdin: request.openStdin,
        terminalSize: request.terminalSize,
        cgroup: planCgroupExec({ layout, path }, take, groupToJoin(layout, path, record.run?.pid ?? 0)),
      },
      slots,
    );
  } catch (thrown) {
    throw launchError('execute in', record.name, undefined, thrown);
  }
}

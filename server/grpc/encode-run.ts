/** Runs, their ends and their states, on the wire. */
import type { Run as WireRun } from '../../proto/gen/mydocker/v1/containers.ts';
import { ExitReason, TaskStatus, type Exit as WireExit } from '../../proto/gen/mydocker/v1/types.ts';
import type { ContainerRecord, Exit, Run, TaskStatus as Status } from '../model/container.ts';
import { isAlive } from '../model/task-state.ts';
import { shownStatus } from '../ops/list-containers.ts';
import { toTimestampOrNone } from './timestamp.ts';

const STATUS: Readonly<Record<Status, TaskStatus>> = {
  created: TaskStatus.CREATED,
  starting: TaskStatus.STARTING,
  running: TaskStatus.RUNNING,
  paused: TaskStatus.PAUSED,
  stopped: TaskStatus.STOPPED,
};

const REASON: Readonly<Record<Exit['reason'], ExitReason>> = {
  exited: ExitReason.EXITED,
  lost: ExitReason.LOST,
  reboot: ExitReason.REBOOT,
  failed: ExitReason.FAILED,
};

export function encodeStatus(record: ContainerRecord): TaskStatus {
  return STATUS[shownStatus(record)];
}

/** The states that a filter may name and a container can have here. */
export function decodeStatus(status: TaskStatus): Status | undefined {
  return (Object.keys(STATUS) as Status[]).find((key) => STATUS[key] === status);
}

export function encodeExit(runId: string, exit: Exit): WireExit {
  return {
    runId,
    exitStatus: exit.exitStatus,
    signal: exit.signal,
    oomKilled: exit.oomKilled,
    exitedAt: toTimestampOrNone(exit.exitedAt),
    reason: REASON[exit.reason],
    message: exit.message,
  };
}

/** How a container's last run ended; while it runs, that was the run before, whose id nobody keeps. */
export function encodeLastExit({ exit, run, status }: ContainerRecord): WireExit | undefined {
  if (exit === undefined) return undefined;
  return encodeExit(isAlive(status) ? '' : (run?.runId ?? ''), exit);
}

/** @param shimPid - 0 where it is not known; @param notResponding - of that shim. */
export function encodeRun(record: ContainerRecord, shimPid = 0, notResponding = false): WireRun | undefined {
  const { run, status } = record;
  if (run === undefined) return undefined;
  const alive = isAlive(status);
  return {
    runId: run.runId,
    pid: alive ? run.pid : 0,
    startedAt: startedAt(record, run),
    bootId: run.bootId,
    cgroupPath: run.cgroupPath,
    shimPid: alive ? shimPid : 0,
    notResponding,
  };
}

/** When the process began to run; absent while it waits at the gate. */
export function startedAt(record: ContainerRecord, run: Run): WireRun['startedAt'] {
  return shownStatus(record) === 'created' ? undefined : toTimestampOrNone(run.startedAt);
}

/** What is known of an additional process that runs. */
interface ExecFacts {
  readonly runId: string;
  readonly pid: number;
  readonly shimPid: number;
  /** ns since epoch; absent where it is not known. */
  readonly startedAt?: bigint;
}

export function encodeExec(bootId: string, { runId, pid, shimPid, startedAt: at }: ExecFacts): WireRun {
  return {
    ...{ runId, pid, shimPid, bootId },
    startedAt: toTimestampOrNone(at),
    cgroupPath: '',
    notResponding: false,
  };
}

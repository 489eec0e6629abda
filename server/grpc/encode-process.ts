/** A container's processes on the wire. */
import type { TaskProcess } from '../../proto/gen/mydocker/v1/tasks.ts';
import type { listProcesses } from '../ops/list-processes.ts';
import { toTimestamp } from './timestamp.ts';

/** @param process - as the operation tells it. */
export function encodeProcess(process: ReturnType<typeof listProcesses>[number]): TaskProcess {
  const { pid, parentPid, uid, gid, state, threads, terminal, name, args } = process;
  return {
    ...{ pid, parentPid, uid, gid, state, threads, terminal, name, args },
    containerPid: process.innerPid,
    cpuTimeMs: BigInt(process.cpuTimeMs),
    rssBytes: BigInt(process.rssBytes),
    startedAt: toTimestamp(process.startedAt),
  };
}

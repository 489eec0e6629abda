/** mydocker.v1.TasksService: decode, one operation, encode. */
import { type TasksServiceDefinition, WaitCondition } from '../../proto/gen/mydocker/v1/tasks.ts';
import { SIGKILL } from '../model/signal.ts';
import type { Engine } from '../ops/engine.ts';
import { execTask } from '../ops/exec-task.ts';
import { expectRev, expectRun, findContainer } from '../ops/find-container.ts';
import { getContainer } from '../ops/get-container.ts';
import { killTask, resizeTask } from '../ops/kill-task.ts';
import { listProcesses } from '../ops/list-processes.ts';
import { pauseTask, resumeTask } from '../ops/pause-task.ts';
import type { RequestIds } from '../ops/request-ids.ts';
import { createTask, startTask } from '../ops/start-task.ts';
import { restartTask, stopExec, stopTask } from '../ops/stop-task.ts';
import { waitTask } from '../ops/wait-task.ts';
import { watchStats } from '../ops/watch-stats.ts';
import { attach } from './attach.ts';
import { decodeProcess, decodeSize, decodeStop, signalOrNone, sizeOrUsual } from './decode-task.ts';
import { encodeProcess } from './encode-process.ts';
import { encodeExec, encodeExit, encodeLastExit, encodeRun, encodeStatus } from './encode-run.ts';
import { encodeStats } from './encode-stats.ts';
import type { Implementation } from './handlers.ts';
import { readLogs } from './logs.ts';
import { refuseRest } from './refuse-rest.ts';

export function tasksService(
  engine: Engine,
  requestIds: RequestIds,
): Implementation<typeof TasksServiceDefinition> {
  /** Its shim's pid is in memory only. */
  const shimPid = (id: string): number => engine.runs.initOf(id)?.created?.shimPid ?? 0;
  return {
    createTask: async ({ container, terminalSize, expectedRev }, { signal }) => {
      expectRev('create task of', findContainer(engine, container), expectedRev);
      const record = await createTask(engine, { container, signal, terminalSize: sizeOrUsual(terminalSize) });
      return { containerId: record.id, run: encodeRun(record, shimPid(record.id)) };
    },
    startTask: async ({ container, runId, terminalSize, expectedRev }, { signal }) => {
      const found = findContainer(engine, container);
      expectRev('start', found, expectedRev);
      expectRun(engine, 'start', found, runId);
      const record = await startTask(engine, {
        container: found.id,
        signal,
        terminalSize: sizeOrUsual(terminalSize),
      });
      return { containerId: record.id, run: encodeRun(record, shimPid(record.id)) };
    },
    killTask: async ({ container, signal, runId, all }) => {
      refuseRest('', { all });
      const record = findContainer(engine, container);
      expectRun(engine, 'kill', record, runId);
      const target = runId === '' ? (engine.runs.initOf(record.id)?.runId ?? '') : runId;
      await killTask(engine, { container: record.id, runId, signal: signalOrNone(signal) ?? SIGKILL });
      return { runId: target };
    },
    stopTask: async (request, { signal: abort }) => {
      const found = findContainer(engine, request.container);
      expectRun(engine, 'stop', found, request.runId);
      const stop = decodeStop(found, request);
      const run = engine.runs.get(request.runId);
      if (run?.kind === 'exec') {
        const exit = await stopExec(engine, run, { ...stop, abort });
        const killed = exit.signal === SIGKILL && stop.signal !== SIGKILL;
        return { containerId: found.id, wasRunning: true, killed, exit: encodeExit(run.runId, exit) };
      }
      const wasRunning = engine.runs.initOf(found.id) !== undefined;
      const record = await stopTask(engine, { ...stop, abort });
      const killed = wasRunning && record.exit?.signal === SIGKILL && stop.signal !== SIGKILL;
      return { containerId: record.id, wasRunning, killed, exit: encodeLastExit(record) };
    },
    restartTask: async (request, { signal: abort }) => {
      const found = findContainer(engine, request.container);
      const stop = decodeStop(found, request);
      const record = await restartTask(engine, { ...stop, abort });
      const before = record.exit && encodeExit(found.run?.runId ?? '', record.exit);
      return { containerId: record.id, exit: before, run: encodeRun(record, shimPid(record.id)) };
    },
    pauseTask: async ({ container }) => {
      const { id, run } = await pauseTask(engine, container);
      return { containerId: id, runId: run?.runId ?? '' };
    },
    resumeTask: async ({ container }) => {
      const { id, run } = await resumeTask(engine, container);
      return { containerId: id, runId: run?.runId ?? '' };
    },
    waitTask: async ({ container, runId, condition }, { signal: abort }) => {
      const end = await waitTask(engine, { container, runId, condition: CONDITION[condition], abort });
      const never = end.runId === '' && end.exit.exitedAt === 0n;
      return { containerId: end.containerId, exit: never ? undefined : encodeExit(end.runId, end.exit) };
    },
    execTask: async ({ container, process, terminalSize, createOnly }) => {
      refuseRest('', { createOnly });
      const exec = await execTask(engine, {
        container,
        ...decodeProcess(process),
        terminalSize: sizeOrUsual(terminalSize),
      });
      // Nobody is attached; what it writes has no reader.
      exec.stdio.close();
      return { containerId: exec.containerId, run: encodeExec(engine.bootId, exec) };
    },
    getTask: ({ container }) => {
      const { record, shimPid: pid, notResponding, execs } = getContainer(engine, container);
      return {
        task: {
          containerId: record.id,
          status: encodeStatus(record),
          run: encodeRun(record, pid, notResponding),
          exit: encodeLastExit(record),
          execs: execs.map((exec) => ({
            run: encodeExec(engine.bootId, exec),
            process: undefined,
            status: encodeStatus(record),
            exit: undefined,
          })),
        },
      };
    },
    listTaskProcesses: ({ container }) => ({
      processes: listProcesses(engine, container).map(encodeProcess),
    }),
    async *watchTaskStats({ containers, intervalMs, once }, { signal: abort }) {
      for await (const round of watchStats(engine, { containers, intervalMs, once, abort }))
        for (let at = 0; at === 0 || at < round.length; at += STATS_PAGE)
          yield {
            stats: round.slice(at, at + STATS_PAGE).map(encodeStats),
            more: at + STATS_PAGE < round.length,
          };
    },
    attachTask: (requests, call) => attach(engine, requestIds, requests, call),
    resizeTask: async ({ container, runId, size }) => {
      const { columns, rows } = decodeSize(size).terminalSize ?? { columns: 0, rows: 0 };
      await resizeTask(engine, { container, runId, columns, rows });
      return {};
    },
    readTaskLogs: (request, call) => readLogs(engine, request, call),
  };
}

/** The contract's. */
const STATS_PAGE = 100;

const CONDITION = {
  [WaitCondition.UNSPECIFIED]: 'not-running',
  [WaitCondition.NOT_RUNNING]: 'not-running',
  [WaitCondition.NEXT_EXIT]: 'next-exit',
  [WaitCondition.REMOVED]: 'removed',
} as const;

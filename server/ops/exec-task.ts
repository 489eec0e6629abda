/** An additional process in a running container. */
import { closeSync } from 'node:fs';
import { failpoint } from '../failpoint.ts';
import type { ContainerRecord, Exit } from '../model/container.ts';
import { cannot } from '../model/error.ts';
import { newRunId } from '../model/ids.ts';
import type { Plan } from '../model/plan.ts';
import { SIGKILL } from '../model/signal.ts';
import { nowNs } from '../model/time.ts';
import { encodePlan } from '../spec/plan-codec.ts';
import { AttachConnection } from '../task/attach-connection.ts';
import { openProcess, signalProcess } from '../task/held-process.ts';
import type { LiveRun } from '../task/runs.ts';
import type { ShimConnection } from '../task/shim-connection.ts';
import { socketOf, stdioPair } from '../task/shim-sockets.ts';
import { tell } from './container-event.ts';
import { type Engine, runFolder } from './engine.ts';
import { discardRunFolder, exitOf } from './finish-run.ts';
import { launchError } from './launch-error.ts';
import { type ExecRequest, prepareExec } from './prepare-exec.ts';

/** A process that runs. */
export interface ExecRun {
  readonly containerId: string;
  readonly runId: string;
  readonly pid: number;
  readonly shimPid: number;
  /** ns since epoch. */
  readonly startedAt: bigint;
  /** Its stdio; connected from the start, so nothing is lost. One client. */
  readonly stdio: AttachConnection;
  readonly live: LiveRun;
  readonly exited: Promise<Exit>;
}

/**
 * @returns when the program runs.
 * @throws MydockerError `failed-precondition` when the container does not run or a step fails (exitStatus 126,
 * 127, 125), `invalid-argument` for a user it does not know.
 */
export async function execTask(engine: Engine, request: ExecRequest): Promise<ExecRun> {
  await failpoint('exec.begin');
  engine.cgroups.warmJoins();
  const runId = newRunId();
  const { record, init, plan } = prepareExec(engine, request, runId);
  const { pid, pidStartTime } = init;
  const pidfd = openInit(record, pid, pidStartTime);
  const [ours, theirs] = stdioPair();
  let connection: ShimConnection;
  try {
    connection = engine.zygote.launch(encodePlan(plan), [pidfd, theirs]);
  } finally {
    closeSync(pidfd);
    closeSync(theirs);
  }
  const { openStdin } = request;
  const stdio = new AttachConnection(socketOf(ours), {
    stdin: openStdin,
    stdout: true,
    stderr: true,
    stdinOnce: true,
  });
  const args = request.args.join(' ');
  tell(engine, record.id, 'exec-create', { runId, attributes: { args } });
  const live = register(engine, record, runId, plan, connection, request);
  try {
    // Not kept by the store: it lives by its shim, and a restarted server finds it by its run folder.
    connection.commit(true);
    live.created = await connection.created;
    await failpoint('exec.launched');
    await connection.started;
    await failpoint('exec.done');
  } catch (thrown) {
    stdio.close();
    // Gone already, unless it was this server that failed.
    await connection.giveUp();
    throw launchError('execute in', record.name, plan, thrown);
  }
  const { pid: execPid, shimPid } = live.created;
  const startedAt = nowNs();
  return { containerId: record.id, runId, pid: execPid, shimPid, startedAt, stdio, live, exited: live.ended };
}

/** The container's first process by descriptor; a pid alone may be another's by now. */
function openInit(record: ContainerRecord, pid: number, startTime: bigint): number {
  const gone = (): Error =>
    cannot('failed-precondition', 'execute in', 'container', record.name, 'its process has just ended', {
      reason: 'CONTAINER_NOT_RUNNING',
    });
  const pidfd = openProcess(pid, startTime);
  if (pidfd === undefined) throw gone();
  return pidfd;
}

function register(
  engine: Engine,
  record: ContainerRecord,
  runId: string,
  plan: Plan,
  connection: ShimConnection,
  { terminal, args }: ExecRequest,
): LiveRun {
  const folder = runFolder(engine.paths, runId);
  const live: LiveRun = {
    containerId: record.id,
    runId,
    kind: 'exec',
    folder,
    connection,
    logFrom: { serial: 0, offset: 0 },
    terminal,
    plan,
    ended: superviseExec(engine, connection, folder, () => live, args),
  };
  engine.runs.add(live);
  return live;
}

/**
 * @param args - told when it begins; absent: it was begun by an earlier server.
 * @returns how it ended; never rejects.
 */
export async function superviseExec(
  engine: Engine,
  connection: ShimConnection,
  folder: string,
  live: () => LiveRun,
  args?: readonly string[],
): Promise<Exit> {
  const begun = await connection.started.then(
    () => true,
    () => false,
  );
  const { containerId, runId } = live();
  if (begun && args !== undefined)
    tell(engine, containerId, 'exec-start', { runId, attributes: { args: args.join(' ') } });
  const told = await connection.exited.catch(() => undefined);
  const { created, oomKillsAtKill } = live();
  const exit = exitOf(folder, told, oomKillsAtKill);
  // Its shim was killed: nobody would ever hear of the process again.
  if (exit.reason === 'lost' && created !== undefined)
    signalProcess(created.pid, created.pidStartTime, SIGKILL);
  discardRunFolder(folder, connection);
  if (!connection.silent) connection.close();
  if (exit.oomKilled) tell(engine, containerId, 'oom', { runId });
  if (begun || exit.reason === 'failed') tell(engine, containerId, 'exec-exit', { runId, exit });
  engine.runs.remove(live(), exit);
  return exit;
}

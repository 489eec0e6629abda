/**
 * What an AttachTask call is connected to: a run that is there, the next one of a container, or a process
 * that the call itself makes or starts.
 */
import type { Run as WireRun } from '../../proto/gen/mydocker/v1/containers.ts';
import { AttachOpen, AttachReplay } from '../../proto/gen/mydocker/v1/tasks.ts';
import type { ContainerRecord } from '../model/container.ts';
import { invalidArgument } from '../model/error.ts';
import { SIGKILL } from '../model/signal.ts';
import { type AttachSession, attachTask, sessionOf } from '../ops/attach-task.ts';
import type { Engine } from '../ops/engine.ts';
import { type ExecRun, execTask } from '../ops/exec-task.ts';
import { findContainer } from '../ops/find-container.ts';
import { killTask } from '../ops/kill-task.ts';
import type { RequestIds } from '../ops/request-ids.ts';
import { createTask, startTask } from '../ops/start-task.ts';
import { decodeProcess, sizeOrUsual } from './decode-task.ts';
import { encodeExec, encodeRun } from './encode-run.ts';
import { fingerprintOf } from './handlers.ts';

/** What a call is, or will be, connected to. */
export interface AttachTarget {
  readonly containerId: string;
  /** `''`: its run has not begun. */
  readonly runId: string;
  readonly terminal: boolean;
  /** An additional process, made by this call. */
  readonly exec: boolean;
  /** The process has an input, and the client will send some. */
  readonly takesInput: boolean;
  /** The end of this client's input is the end of the process's. */
  readonly endsStdin: boolean;
  /** Resolves when connected. */
  readonly session: Promise<AttachSession>;
  /** To be called once the client knows that it is attached. @returns undefined for what ran before. */
  readonly start: () => Promise<WireRun | undefined>;
  /** Undoes what the call made, where `start` did not succeed. */
  readonly abandon: () => Promise<void>;
}

const RPC = 'mydocker.v1.TasksService/AttachTask';

/** @throws MydockerError `invalid-argument`; what the operations throw. */
export async function attachTarget(
  engine: Engine,
  requestIds: RequestIds,
  open: AttachOpen,
  signal: AbortSignal,
): Promise<AttachTarget> {
  if (open.exec !== undefined && (open.start || open.runId !== ''))
    throw invalidArgument('cannot attach: exec excludes start and run_id', { reason: 'ATTACH_OPEN_INVALID' });
  /** @returns whether the work was done now; else an earlier call with the same id did it. */
  const once = async (work: () => Promise<{ containerId: string; runId: string }>): Promise<Made> => {
    if (open.requestId === '') return { ...(await work()), now: true };
    let now = false;
    const fingerprint = fingerprintOf({ requestType: AttachOpen }, open);
    const made = await requestIds.run({ rpc: RPC, requestId: open.requestId, fingerprint }, () => {
      now = true;
      return work();
    });
    return { ...made, now };
  };
  if (open.exec !== undefined) return await execTarget(engine, once, open, signal);
  if (open.start) return await startTarget(engine, once, open, signal);
  return runTarget(engine, open, signal);
}

interface Made {
  readonly containerId: string;
  readonly runId: string;
  /** By this call. */
  readonly now: boolean;
}

type Once = (work: () => Promise<{ containerId: string; runId: string }>) => Promise<Made>;

async function execTarget(
  engine: Engine,
  once: Once,
  open: AttachOpen,
  signal: AbortSignal,
): Promise<AttachTarget> {
  const process = decodeProcess(open.exec);
  const terminalSize = sizeOrUsual(open.terminalSize);
  let exec: ExecRun | undefined;
  const made = await once(async () => {
    exec = await execTask(engine, { container: open.container, terminalSize, ...process });
    return { containerId: exec.containerId, runId: exec.runId };
  });
  const mine = exec;
  const session =
    mine === undefined
      ? connect(engine, open, { container: made.containerId, runId: made.runId }, true, signal)
      : Promise.resolve(sessionOf(engine, mine.live, mine.stdio));
  return {
    containerId: made.containerId,
    runId: made.runId,
    terminal: process.terminal,
    exec: true,
    takesInput: process.openStdin,
    endsStdin: process.openStdin,
    session: quiet(session),
    start: async () => (mine === undefined ? undefined : encodeExec(engine.bootId, mine)),
    abandon: async () => undefined,
  };
}

/** Its namespaces are made and it stops at the gate, so that the client is there before the first byte. */
async function startTarget(
  engine: Engine,
  once: Once,
  open: AttachOpen,
  signal: AbortSignal,
): Promise<AttachTarget> {
  const terminalSize = sizeOrUsual(open.terminalSize);
  const made = await once(async () => {
    const record = await createTask(engine, { container: open.container, signal, terminalSize });
    return { containerId: record.id, runId: record.run?.runId ?? '' };
  });
  const { containerId, runId } = made;
  const record = findContainer(engine, containerId);
  const takesInput = open.stdin && record.config.openStdin;
  const endsStdin = takesInput && record.config.stdinOnce === true;
  let begun = !made.now;
  return {
    ...{ containerId, runId, terminal: record.config.terminal, exec: false, takesInput, endsStdin },
    // A repeated start is one whose output the client has not seen.
    session: quiet(connect(engine, open, { container: containerId, runId }, endsStdin, signal, !made.now)),
    start: async () => {
      if (begun) return undefined;
      const started = await startTask(engine, { container: containerId, signal });
      begun = true;
      return encodeRun(started, engine.runs.get(runId)?.created?.shimPid);
    },
    abandon: async () => {
      if (!begun) await killTask(engine, { container: containerId, runId, signal: SIGKILL });
    },
  };
}

function runTarget(engine: Engine, open: AttachOpen, signal: AbortSignal): AttachTarget {
  const record = findContainer(engine, open.container);
  const live = open.runId === '' ? engine.runs.initOf(record.id) : engine.runs.get(open.runId);
  const exec = live?.kind === 'exec';
  const takesInput = open.stdin && (exec || record.config.openStdin);
  const endsStdin = takesInput && (exec || record.config.stdinOnce === true);
  const target = { container: record.id, runId: open.runId };
  // It listens for the next run from here on, before the client is told so.
  // Its output from the first byte on: it may write before the connection to it is there.
  const session = quiet(connect(engine, open, target, endsStdin, signal, live === undefined));
  return {
    containerId: record.id,
    runId: live?.runId ?? '',
    terminal: live?.terminal ?? record.config.terminal,
    exec: false,
    takesInput,
    endsStdin,
    session,
    start: async () => {
      if (live !== undefined) return undefined;
      const { runId } = await session;
      return encodeRun(presentRecord(engine, record), engine.runs.get(runId)?.created?.shimPid);
    },
    abandon: async () => undefined,
  };
}

function presentRecord(engine: Engine, record: ContainerRecord): ContainerRecord {
  return engine.store.containers.get(record.id) ?? record;
}

async function connect(
  engine: Engine,
  open: AttachOpen,
  target: { readonly container: string; readonly runId: string },
  stdinOnce: boolean,
  abort: AbortSignal,
  fromStart = false,
): Promise<AttachSession> {
  const { stdin, stdout, stderr } = open;
  const replay = fromStart || open.replay === AttachReplay.RUN_START ? 'run-start' : 'none';
  return await attachTask(engine, {
    ...{ ...target, stdin, stdout, stderr, replay, stdinOnce, abort },
    waitForStart: target.runId === '',
  });
}

/** Awaited later, or never when the client leaves first. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

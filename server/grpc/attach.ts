/**
 * AttachTask: one call that connects a client to a process. Input goes one way while output comes the other;
 * each waits for nobody but its own reader.
 */
import type { AttachOpen, AttachTaskRequest, AttachTaskResponse } from '../../proto/gen/mydocker/v1/tasks.ts';
import { invalidArgument, type MydockerError } from '../model/error.ts';
import { SIGKILL } from '../model/signal.ts';
import type { AttachSession } from '../ops/attach-task.ts';
import type { Engine } from '../ops/engine.ts';
import { killTask } from '../ops/kill-task.ts';
import type { RequestIds } from '../ops/request-ids.ts';
import { type AttachTarget, attachTarget } from './attach-target.ts';
import type { CallContext } from './calls.ts';
import { decodeSize } from './decode-task.ts';
import { encodeExit } from './encode-run.ts';

const SIGHUP = 1;
/** How long an exec that lost its client may take to end by itself. */
const HANGUP_GRACE_MS = 2000;

type Requests = AsyncGenerator<AttachTaskRequest>;
type Responses = AsyncGenerator<AttachTaskResponse, undefined>;

/** @throws MydockerError what the operations behind it throw; `invalid-argument` for frames out of order. */
export async function* attach(
  engine: Engine,
  requestIds: RequestIds,
  requests: Requests,
  { signal }: CallContext,
): Responses {
  const open = await firstFrame(requests);
  const target = await attachTarget(engine, requestIds, open, signal);
  const { containerId, runId, terminal } = target;
  let session: AttachSession | undefined;
  try {
    // A run that is there must be connected to, one that is to come cannot be yet.
    if (runId !== '') session = await target.session;
    yield { frame: { $case: 'ready', value: { containerId, runId, terminal } } };
    const run = await target.start();
    if (run !== undefined) yield { frame: { $case: 'started', value: { run } } };
    session ??= await target.session;
    await resizeNow(open, session);
    // A process whose input nobody will send must not wait for it.
    if (target.exec && !open.stdin) endInput(target, session);
    yield* converse(requests, target, session, signal);
  } finally {
    // Connected, perhaps, but not taken up.
    target.session.then(
      (connected) => connected.detach(),
      () => undefined,
    );
    await target.abandon().catch(() => undefined);
    if (open.killOnDisconnect && target.exec && signal.aborted) hangUp(engine, containerId, runId);
  }
}

async function firstFrame(requests: Requests): Promise<AttachOpen> {
  const { value } = await requests.next();
  const frame = (value as AttachTaskRequest | undefined)?.frame;
  if (frame?.$case === 'open') return frame.value;
  throw outOfOrder('the first frame is not `open`');
}

function outOfOrder(why: string): MydockerError {
  return invalidArgument(`cannot attach: ${why}`, { reason: 'FRAME_OUT_OF_ORDER' });
}

/** The client's window counts from now on, also where the process was made with another one. */
async function resizeNow({ terminalSize, start, exec }: AttachOpen, session: AttachSession): Promise<void> {
  const size = decodeSize(terminalSize).terminalSize;
  if (size === undefined || start || exec !== undefined) return;
  // Without a terminal there is no size to set, and the client could not know.
  await session.resize(size.rows, size.columns).catch(() => undefined);
}

async function* converse(
  requests: Requests,
  target: AttachTarget,
  session: AttachSession,
  signal: AbortSignal,
): Responses {
  const leave = (): void => session.detach();
  signal.addEventListener('abort', leave, { once: true });
  let end: { readonly error?: unknown } | undefined;
  // Ends by itself, by an error, or with the call; in the last case nobody asks for the outcome any more.
  takeInput(requests, target, session).then(
    (left) => {
      if (left) end ??= {};
      if (left) leave();
    },
    (error: unknown) => {
      end ??= { error };
      leave();
    },
  );
  for await (const { stream, data } of session.output) yield { frame: { $case: stream, value: data } };
  signal.throwIfAborted();
  if (end?.error !== undefined) throw end.error;
  if (end !== undefined) return;
  const exit = await unlessAborted(session.exited, signal);
  yield { frame: { $case: 'exit', value: encodeExit(session.runId, exit) } };
}

/** @returns whether the client has said that it leaves. */
async function takeInput(requests: Requests, target: AttachTarget, session: AttachSession): Promise<boolean> {
  for await (const { frame } of requests) {
    switch (frame?.$case) {
      case 'stdin':
        // A shim hangs up on who sends what the process cannot take.
        if (target.takesInput) await session.write(frame.value);
        break;
      case 'closeStdin':
        endInput(target, session);
        break;
      case 'resize': {
        const { columns, rows } = decodeSize(frame.value).terminalSize ?? frame.value;
        // The process may end while its terminal changes.
        await session.resize(rows, columns).catch(() => undefined);
        break;
      }
      case 'detach':
        session.noteLeft();
        return true;
      default:
        throw outOfOrder(frame === undefined ? 'a frame is empty' : '`open` came twice');
    }
  }
  endInput(target, session);
  return false;
}

function endInput({ endsStdin, terminal }: AttachTarget, session: AttachSession): void {
  if (endsStdin && !terminal) session.closeStdin();
}

async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: never, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, never]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** As a terminal that is closed: most programs end, the others are ended. */
function hangUp(engine: Engine, container: string, runId: string): void {
  const kill = (signal: number): void => {
    // It may be over, which is what is wanted.
    killTask(engine, { container, runId, signal }).catch(() => undefined);
  };
  kill(SIGHUP);
  setTimeout(kill, HANGUP_GRACE_MS, SIGKILL).unref();
}

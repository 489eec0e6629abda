/**
 * One attached client, whatever it is attached to: output to standard output and error as it comes, input and signals
 * the other way, until the run is over or the person leaves.
 */
import {
  AttachOpen,
  type AttachTaskRequest,
  type AttachTaskResponse,
} from '../../proto/gen/mydocker/v1/tasks.ts';
import type { Exit } from '../../proto/gen/mydocker/v1/types.ts';
import { attachTask } from '../api/tasks.ts';
import type { Context } from '../context.ts';
import { printError, stderrSink, stdoutSink } from '../output.ts';
import { showId } from '../render/values.ts';
import type { Call } from '../transport/call.ts';
import { Code, RpcError } from '../transport/rpc-error.ts';
import { detachDetector } from './detach-detector.ts';
import { enterRawMode, type TerminalSize, terminalSize } from './raw-terminal.ts';
import { proxySignals } from './signal-proxy.ts';

/** To what to attach and how. */
export interface SessionOptions {
  /** What the contract's AttachOpen has, but for streams and size. */
  readonly open: NonNullable<Parameters<typeof AttachOpen.create>[0]> & { readonly container: string };
  /** The run has a terminal. */
  readonly terminal: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Signals go to the run. */
  readonly sigProxy: boolean;
  /** Bytes that leave the run alone; only looked for on a terminal. */
  readonly detachKeys: Buffer;
  /**
   * What the run shows was drawn for somebody else, and a program draws anew only when its window changes: so the
   * window has another size for a moment.
   */
  readonly redraw?: boolean;
}

/** How it ended. */
export interface SessionEnd {
  /** Undefined where the person left. */
  readonly exit: Exit | undefined;
}

/** How long the other size lasts, in ms: two changes at once are none to most programs. */
const REDRAW_MS = 100;

type AttachCall = Call<AttachTaskRequest, AttachTaskResponse>;

/** What the frames of a session told so far. */
interface Progress {
  exit: Exit | undefined;
  detached: boolean;
  droppedBytes: bigint;
}

/**
 * Attaches and stays until the end.
 * @throws RpcError
 */
export async function attachSession(context: Context, options: SessionOptions): Promise<SessionEnd> {
  const connection = context.connect();
  const { container } = options.open;
  const call = connection.bidi(attachTask);
  const progress: Progress = { exit: undefined, detached: false, droppedBytes: 0n };
  // Without input the terminal stays as it is: ^C is then a signal, and passed on.
  const raw = options.terminal && options.stdin ? enterRawMode() : undefined;
  const isExec = options.open.exec !== undefined;
  const signals = options.sigProxy
    ? proxySignals(connection, container, isExec, () => raw?.restore())
    : undefined;
  const size = options.terminal ? terminalSize() : undefined;
  const first = size !== undefined && options.redraw === true ? larger(size) : size;
  // The streams of node:process read their new size in their own handler of the same signal.
  const resized = (): void => void setImmediate(sendSize, call);
  try {
    const open = AttachOpen.create({
      ...options.open,
      stdin: options.stdin,
      stdout: options.stdout,
      stderr: options.stderr,
      ...(first === undefined ? {} : { terminalSize: first }),
    });
    await call.send({ frame: { $case: 'open', value: open } });
    if (options.terminal) process.on('SIGWINCH', resized);
    await relay(call, options, progress, (runId) => signals?.aim(runId));
  } finally {
    process.off('SIGWINCH', resized);
    raw?.restore();
    signals?.stop();
  }
  tellDropped(progress.droppedBytes, container);
  // The cursor stands wherever the run left it.
  if (progress.detached) printError(`\nleft ${showId(container)} running\n`);
  if (progress.exit === undefined && !progress.detached) {
    throw new RpcError(
      Code.UNAVAILABLE,
      `lost sight of container ${showId(container)}: the server ended the connection`,
      {
        hint: 'it may still run: see mydocker ps',
      },
    );
  }
  return { exit: progress.exit };
}

/** Reads the call to its end. */
async function relay(
  call: AttachCall,
  options: SessionOptions,
  progress: Progress,
  aim: (runId: string) => void,
): Promise<void> {
  for await (const { frame } of call.responses()) {
    switch (frame?.$case) {
      case 'ready':
        if (frame.value.runId !== '') aim(frame.value.runId);
        void takePart(call, options, progress);
        break;
      case 'started':
        aim(frame.value.run?.runId ?? '');
        break;
      case 'stdout':
        await stdoutSink.write(frame.value);
        break;
      case 'stderr':
        await stderrSink.write(frame.value);
        break;
      case 'dropped':
        progress.droppedBytes += frame.value.sizeBytes;
        break;
      case 'exit':
        progress.exit = frame.value;
        break;
    }
  }
}

/** What is typed finds the window as it is. */
async function takePart(call: AttachCall, options: SessionOptions, progress: Progress): Promise<void> {
  if (options.terminal && options.redraw === true) {
    await new Promise((resolve) => setTimeout(resolve, REDRAW_MS));
    sendSize(call);
  }
  if (options.stdin) await sendInput(call, options, progress);
}

/** Standard input to its end, or to the keys that leave. */
async function sendInput(call: AttachCall, options: SessionOptions, progress: Progress): Promise<void> {
  const detect = detachDetector(options.terminal ? options.detachKeys : Buffer.alloc(0));
  try {
    for await (const chunk of process.stdin) {
      const { bytes, detached } = detect(chunk as Buffer);
      if (bytes.length > 0 && !(await call.send({ frame: { $case: 'stdin', value: bytes } }))) return;
      if (detached) {
        progress.detached = true;
        await call.send({ frame: { $case: 'detach', value: {} } });
        return;
      }
    }
  } catch {
    // A terminal that went away has no more input.
  }
  await call.send({ frame: { $case: 'closeStdin', value: {} } });
}

function larger({ columns, rows }: TerminalSize): TerminalSize {
  return { columns: columns + 1, rows: rows + 1 };
}

function sendSize(call: AttachCall): void {
  const size = terminalSize();
  if (size !== undefined) void call.send({ frame: { $case: 'resize', value: size } });
}

function tellDropped(bytes: bigint, container: string): void {
  if (bytes === 0n) return;
  printError(
    `mydocker: ${bytes} bytes of output are missing above, as they were read too slowly\n` +
      `hint: mydocker logs ${showId(container)} has them all\n`,
  );
}

/**
 * Runs programs for tests: the client with pipes or on a terminal, always with a deadline, so that a hang is a
 * failure that says what was printed and not a test run that never ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const PROJECT: string = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** By how much all deadlines are longer: an emulated machine is ten times slower and not wrong. */
export const SLOWNESS: number = Number(process.env['MYDOCKER_TEST_SLOWNESS'] ?? 1);

/** A file that is not done after this many milliseconds has failed. */
export const FILE_TIMEOUT_MS: number = 300_000 * SLOWNESS;

/** Default deadline of every command, in milliseconds. */
const TIMEOUT_MS = 120_000 * SLOWNESS;

/** How a program ended. */
export interface RunResult {
  /** Exit status; 128 + signal number when a signal ended it, as a shell says it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a run may be given. */
export interface RunOptions {
  /** Written to standard input, then closed. Default: standard input is empty. */
  readonly stdin?: string | Uint8Array;
  /** After this the program is killed and the call throws. Default 60 s. */
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
};

/** Waits for a child's end. @returns its exit status as a shell says it. */
export function exitCode(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    const done = (code: number | null, signal: string | null): void =>
      resolve(code ?? 128 + (SIGNALS[signal ?? ''] ?? 0));
    if (child.exitCode !== null || child.signalCode !== null) done(child.exitCode, child.signalCode);
    child.once('exit', done);
    child.once('error', reject);
  });
}

/**
 * Runs a program to its end.
 * @throws Error when it is not done in time; the message has its output.
 */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const child = spawn(command, args, {
    stdio: 'pipe',
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  // It may end without having read its input.
  child.stdin.on('error', () => {});
  child.stdin.end(options.stdin ?? '');
  const text = (chunks: Buffer[]): string => Buffer.concat(chunks).toString();
  const timeoutMs = options.timeoutMs === undefined ? TIMEOUT_MS : options.timeoutMs * SLOWNESS;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
    // A grandchild may hold the pipes open.
    child.stdout.destroy();
    child.stderr.destroy();
  }, timeoutMs);
  try {
    const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const code = await exitCode(child);
    await closed;
    if (late) {
      throw new Error(
        `${command} ${args.join(' ')}: not done after ${timeoutMs} ms\n` +
          `stdout: ${text(out)}\nstderr: ${text(err)}`,
      );
    }
    return { code, stdout: text(out), stderr: text(err) };
  } finally {
    clearTimeout(timer);
  }
}

/** A program on a terminal. */
export interface Terminal {
  /** Everything printed so far, carriage returns included. */
  output(): string;
  /** Types text. `\x03` is ^C. */
  type(text: string): void;
  /** Types bytes that need not be text. */
  typeBytes(bytes: Uint8Array): void;
  /** Changes the window's size. */
  resize(rows: number, columns: number): void;
  /** Waits until the output matches. @returns the match. @throws Error after timeoutMs (60 s). */
  waitFor(pattern: RegExp, timeoutMs?: number): Promise<RegExpMatchArray>;
  /** Waits for the end. @throws Error after timeoutMs (60 s). */
  exit(timeoutMs?: number): Promise<number>;
  /** Ends the program at once. */
  kill(): void;
}

/** Starts a program on a terminal of its own (24 rows, 80 columns unless given). */
export function openTerminal(
  command: string,
  args: readonly string[],
  options: { rows?: number; columns?: number; env?: Readonly<Record<string, string>> } = {},
): Terminal {
  const child = spawn(
    join(PROJECT, 'build/test/pty'),
    [String(options.rows ?? 24), String(options.columns ?? 80), command, ...args],
    { stdio: ['pipe', 'pipe', 'inherit', 'pipe'], env: { ...process.env, TERM: 'xterm', ...options.env } },
  );
  const { stdin, stdout } = child;
  const sizes = child.stdio[3] as NodeJS.WritableStream;
  let text = '';
  let changed = (): void => {};
  stdout?.setEncoding('utf8');
  stdout?.on('data', (chunk: string) => {
    text += chunk;
    changed();
  });
  stdin?.on('error', () => {});
  sizes.on('error', () => {});
  const ended = exitCode(child);
  const within = <T>(promise: Promise<T>, ms: number, what: string): Promise<T> => {
    let timer: NodeJS.Timeout;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`${what} after ${ms} ms; the terminal shows:\n${text}`)),
        ms * SLOWNESS,
      );
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  };
  return {
    output: () => text,
    type: (typed) => void stdin?.write(typed),
    typeBytes: (typed) => void stdin?.write(typed),
    resize: (rows, columns) => void sizes.write(`${rows} ${columns}\n`),
    waitFor: (pattern, timeoutMs = 60_000) =>
      within(
        new Promise((resolve) => {
          changed = (): void => {
            const match = text.match(pattern);
            if (match !== null) resolve(match);
          };
          changed();
        }),
        timeoutMs,
        `${pattern} does not appear`,
      ),
    exit: (timeoutMs = 60_000) => within(ended, timeoutMs, 'no end'),
    kill: () => void child.kill('SIGKILL'),
  };
}

/** The person's own terminal handed through to the container's: every key as it is, every byte back as it is. */
import { spawnSync } from 'node:child_process';
import { isatty } from 'node:tty';

/** Size of a terminal. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** A terminal in raw mode. */
export interface RawTerminal {
  /** Gives the terminal back as it was. May be called twice. */
  restore(): void;
}

const STDIN = 0;

/** Whether standard input is a terminal. */
export function stdinIsTerminal(): boolean {
  return isatty(STDIN);
}

/** Size of the terminal that shows the output; undefined where it is shown on none. */
export function terminalSize(): TerminalSize | undefined {
  const stream = [process.stdout, process.stderr].find((stream) => stream.isTTY);
  const [columns = 0, rows = 0] = stream?.getWindowSize() ?? [];
  return columns > 0 && rows > 0 ? { columns, rows } : undefined;
}

/**
 * Makes the terminal on standard input raw. Node gives it back on every way out of the process, also by an exception
 * or a signal; only SIGKILL leaves it raw.
 */
export function enterRawMode(): RawTerminal {
  let raw = true;
  const enter = (): void => {
    process.stdin.setRawMode(true);
    // Node's raw mode goes on turning newlines of the output into returns, which breaks full-screen programs.
    spawnSync('stty', ['raw', '-echo'], {
      stdio: ['inherit', 'ignore', 'ignore'],
    });
  };
  // The shell takes the terminal back while the client is stopped.
  const again = (): void => {
    process.stdin.setRawMode(false);
    enter();
  };
  enter();
  process.on('SIGCONT', again);
  return {
    restore: () => {
      if (!raw) return;
      raw = false;
      process.off('SIGCONT', again);
      process.stdin.setRawMode(false);
    },
  };
}

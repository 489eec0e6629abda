/**
 * The one process that forks shims: spawned when the first launch needs it, from a sealed copy of the program,
 * and spawned again should it die. Shims are never this server's children.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, readFileSync } from 'node:fs';
import { SyscallError } from '../../native/errno.ts';
import { sealedMemfd } from '../../native/memfd.ts';
import { SOCKET_TYPE, sendDescriptors, socketPair } from '../../native/socket.ts';
import { unavailable } from '../model/error.ts';
import { ShimConnection } from './shim-connection.ts';
import { encodeLaunchRequest } from './shim-protocol.ts';
import { socketOf } from './shim-sockets.ts';

/** Tries after which a queue that stays full is an error. */
const SEND_TRIES = 3;
/** How long a launch may take to its first word. A zygote that is stopped would hold its starts for ever. */
export const LAUNCH_DEADLINE_MS = 5000;

export interface ZygoteOptions {
  /** The shim program. */
  readonly program: string;
  /** What ps shows for the zygote. */
  readonly title: string;
  /** Length of the longest title that a shim will take. */
  readonly titleLength: number;
}

export class Zygote {
  readonly #options: ZygoteOptions;
  #binary: number | undefined;
  #socket: number | undefined;
  #process: ChildProcess | undefined;

  constructor(options: ZygoteOptions) {
    this.#options = options;
  }

  /** Pid of the running zygote, for diagnostics. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /**
   * Starts a shim with a plan.
   * @param plan - encoded.
   * @param descriptors - they fill the plan's first slots; duplicated, the caller keeps and closes its own.
   * @throws MydockerError `unavailable` when no zygote can be started or reached.
   */
  launch(plan: Uint8Array, descriptors: readonly number[]): ShimConnection {
    const [ours, theirs] = socketPair(SOCKET_TYPE.stream);
    const planFd = sealedMemfd('mydocker-plan', plan);
    try {
      this.#send([planFd, theirs, ...descriptors]);
      const connection = new ShimConnection(socketOf(ours), false, ours);
      this.#watch(connection);
      return connection;
    } catch (error) {
      closeSync(ours);
      throw error;
    } finally {
      closeSync(planFd);
      closeSync(theirs);
    }
  }

  /** Ends the zygote; shims live on. */
  close(): void {
    if (this.#socket !== undefined) closeSync(this.#socket);
    if (this.#binary !== undefined) closeSync(this.#binary);
    this.#socket = undefined;
    this.#binary = undefined;
  }

  /** Shims that are there already do not need the zygote; launches that it has not begun fail with it. */
  #watch(connection: ShimConnection): void {
    const zygote = this.#process;
    const timer = setTimeout(() => zygote?.kill('SIGKILL'), LAUNCH_DEADLINE_MS);
    timer.unref();
    void connection.spoken.then(() => clearTimeout(timer));
  }

  #send(descriptors: readonly number[]): void {
    for (let tries = 1; ; tries++) {
      try {
        sendDescriptors(this.#connected(), encodeLaunchRequest(descriptors.length), descriptors);
        return;
      } catch (error) {
        // Dead since the last launch: another one takes over.
        if (!(error instanceof SyscallError) || tries === SEND_TRIES)
          throw unavailable('cannot launch: the zygote does not take requests', { cause: error });
        this.#forget();
      }
    }
  }

  #connected(): number {
    this.#socket ??= this.#spawn();
    return this.#socket;
  }

  #forget(): void {
    if (this.#socket !== undefined) closeSync(this.#socket);
    this.#socket = undefined;
  }

  #spawn(): number {
    this.#binary ??= sealedMemfd('mydocker-shim', readFileSync(this.#options.program));
    const [ours, theirs] = socketPair(SOCKET_TYPE.seqPacket);
    // Its own program is descriptor 3 there, the socket 4; the title's room is what the shims will overwrite.
    const child = spawn('/proc/self/fd/3', [], {
      argv0: this.#options.title.padEnd(this.#options.titleLength),
      stdio: ['ignore', 'ignore', 'ignore', this.#binary, theirs],
      env: {},
      cwd: '/',
      detached: true,
    });
    closeSync(theirs);
    child.unref();
    child.on('error', () => undefined);
    child.on('exit', () => {
      if (this.#process === child) this.#forget();
    });
    this.#process = child;
    return ours;
  }
}

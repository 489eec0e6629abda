/**
 * Launchers that are started ahead: a few shims, each with a process beside it that has a container's namespaces and
 * groups already and waits for a plan. They belong to their server and go with it.
 */
import { closeSync } from 'node:fs';
import { sealedMemfd } from '../../native/memfd.ts';
import { failpoint } from '../failpoint.ts';
import type { Logger } from '../model/logger.ts';
import { signalProcess } from './held-process.ts';
import type { ShimConnection, Waiting } from './shim-connection.ts';
import { LAUNCH_DEADLINE_MS } from './zygote.ts';

const SIGKILL = 9;
/** How long launchers may take to go when the server stops. */
const CLOSE_MS = 2000;
/** After a start its container has the machine for itself, and so has a start right behind it. */
const FILL_AFTER_MS = 50;

/** A shim that is to wait for a start. */
export interface Parked {
  readonly connection: ShimConnection;
  /** Path of the groups that its launcher waits in, below each hierarchy. */
  readonly cgroupPath: string;
}

/** A launcher for one start. */
export interface Launcher extends Disposable {
  readonly cgroupPath: string;
  /**
   * Starts a process with a plan, as the zygote does.
   * @throws MydockerError `unavailable` when the launcher has died this moment.
   */
  launch(plan: Uint8Array, descriptors: readonly number[]): ShimConnection;
}

export interface LaunchersOptions {
  /** How many wait at most; 0: none ever. */
  readonly size: number;
  /** Starts one. @throws MydockerError where it cannot. */
  readonly park: () => Parked;
  readonly log: Logger;
}

/** One that no start has yet. */
interface Place extends Parked {
  /** Known once it waits. */
  waiting?: Waiting;
}

export class Launchers {
  readonly #options: LaunchersOptions;
  readonly #places = new Set<Place>();
  #filling: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #starts = 0;
  #closed = false;

  constructor(options: LaunchersOptions) {
    this.#options = options;
  }

  /** Whether the next start finds one. */
  get isReady(): boolean {
    return [...this.#places].some(({ waiting }) => waiting !== undefined);
  }

  /** One that waits; undefined where none does. Disposed of without a launch it is there for the next start. */
  take(): Launcher | undefined {
    const place = [...this.#places].find(({ waiting }) => waiting !== undefined);
    if (place?.waiting === undefined) return undefined;
    const { connection, cgroupPath, waiting } = place;
    this.#places.delete(place);
    let isOver = false;
    const over = connection.closed.then(() => {
      isOver = true;
    });
    let begun = false;
    return {
      cgroupPath,
      launch: (plan, descriptors) => {
        begun = true;
        begin(connection, plan, descriptors);
        const kill = (): void => signalProcess(waiting.shimPid, waiting.shimStartTime, SIGKILL);
        // One that was stopped would hold its start for ever.
        const timer = setTimeout(kill, LAUNCH_DEADLINE_MS).unref();
        const done = (): void => clearTimeout(timer);
        Promise.race([connection.created, connection.exited, over]).then(done, done);
        return connection;
      },
      [Symbol.dispose]: () => {
        if (begun || isOver) return;
        if (this.#places.size < this.#options.size) this.#keep(place);
        else void connection.giveUp();
      },
    };
  }

  /** A start is under way, until disposed of: meanwhile nothing is made ahead, which would only be in its way. */
  starting(): Disposable {
    this.#starts += 1;
    return {
      [Symbol.dispose]: () => {
        this.#starts -= 1;
      },
    };
  }

  /** A container was started: what is missing is made a little later. */
  started(): void {
    this.#timer ??= setTimeout(() => this.#fill(), FILL_AFTER_MS).unref();
  }

  /** A container has ended: there is time for it once that is told, if there was a start. */
  ended(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fill(), 1).unref();
  }

  /** Starts what is missing, one after the other; nobody waits for it. */
  #fill(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#closed) return;
    if (this.#starts > 0) {
      this.started();
      return;
    }
    this.#filling ??= this.#fillUp().finally(() => {
      this.#filling = undefined;
    });
  }

  /** Ends all; resolves when nothing is left of them, or when they do not answer. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const all = (async (): Promise<void> => {
      await this.#filling;
      await Promise.all([...this.#places].map(({ connection }) => connection.giveUp()));
    })();
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, CLOSE_MS);
    await Promise.race([all, late.promise]);
    clearTimeout(timer);
  }

  async #fillUp(): Promise<void> {
    try {
      await failpoint('launcher.fill');
      while (!this.#closed && this.#places.size < this.#options.size) {
        const place: Place = this.#options.park();
        this.#keep(place);
        place.waiting = await place.connection.parked;
        await failpoint('launcher.parked');
      }
    } catch (err) {
      // The next start does without, and tries again behind its answer.
      this.#options.log.warn({ err }, 'no launcher can be started ahead');
    }
  }

  #keep(place: Place): void {
    this.#places.add(place);
    void place.connection.closed.then(() => this.#places.delete(place));
  }
}

function begin(connection: ShimConnection, plan: Uint8Array, descriptors: readonly number[]): void {
  const planFd = sealedMemfd('mydocker-plan', plan);
  try {
    connection.begin(planFd, descriptors);
  } finally {
    closeSync(planFd);
  }
}

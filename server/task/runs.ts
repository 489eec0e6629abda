/**
 * The runs that are alive, with their shims, and how the last ones ended. In memory only: after a restart it
 * is filled again from the run folders.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Exit } from '../model/container.ts';
import type { Plan } from '../model/plan.ts';
import type { Created, ShimConnection } from './shim-connection.ts';
import type { LogPosition } from './shim-protocol.ts';

/** Ends remembered for those who ask by run id after the container is gone. */
const MAX_REMEMBERED = 4096;

export interface LiveRun {
  readonly containerId: string;
  readonly runId: string;
  readonly kind: 'init' | 'exec';
  /** `/run/mydocker/shims/<run id>` */
  readonly folder: string;
  readonly connection: ShimConnection;
  /** Where its output begins in the container's log; serial 0 for an exec, which has none. */
  readonly logFrom: LogPosition;
  readonly terminal: boolean;
  /** Says what a failed step was; unknown for a run that an earlier server started. */
  readonly plan?: Plan;
  /** SIGKILL was sent to it, or is about to be: how many of its group the kernel had killed for memory by then. */
  oomKillsAtKill?: number;
  /** Known once the process exists. */
  created?: Created;
  /** Resolves when the end is known and recorded. Never rejects. */
  readonly ended: Promise<Exit>;
}

export interface EndedRun {
  readonly containerId: string;
  readonly runId: string;
  readonly exit: Exit;
}

/** Somebody who reads a run's output. */
export interface Reading {
  /** Took something. */
  progressed(): void;
  done(): void;
}

export class Runs {
  readonly #byRunId = new Map<string, LiveRun>();
  readonly #inits = new Map<string, LiveRun>();
  readonly #execs = new Map<string, Set<LiveRun>>();
  readonly #ended = new Map<string, EndedRun>();
  readonly #readers = new Map<string, Map<Promise<void>, number>>();

  add(run: LiveRun): void {
    this.#byRunId.set(run.runId, run);
    if (run.kind === 'init') {
      this.#inits.set(run.containerId, run);
      return;
    }
    const execs = this.#execs.get(run.containerId) ?? new Set();
    this.#execs.set(run.containerId, execs.add(run));
  }

  /** @param exit - remembered for late questions; undefined: it never ran, nobody will ask. */
  remove(run: LiveRun, exit: Exit | undefined): void {
    this.#byRunId.delete(run.runId);
    if (this.#inits.get(run.containerId) === run) this.#inits.delete(run.containerId);
    const execs = this.#execs.get(run.containerId);
    execs?.delete(run);
    if (execs?.size === 0) this.#execs.delete(run.containerId);
    if (exit === undefined) return;
    this.#ended.set(run.runId, { containerId: run.containerId, runId: run.runId, exit });
    if (this.#ended.size > MAX_REMEMBERED) this.#ended.delete(this.#ended.keys().next().value ?? '');
  }

  get(runId: string): LiveRun | undefined {
    return this.#byRunId.get(runId);
  }

  initOf(containerId: string): LiveRun | undefined {
    return this.#inits.get(containerId);
  }

  execsOf(containerId: string): readonly LiveRun[] {
    return [...(this.#execs.get(containerId) ?? [])];
  }

  /** How a run ended, when that was not long ago. */
  endOf(runId: string): EndedRun | undefined {
    return this.#ended.get(runId);
  }

  /** Somebody reads a run's output, and may need its log for that. */
  beginReading(runId: string): Reading {
    const { promise, resolve } = Promise.withResolvers<void>();
    const readers = this.#readers.get(runId) ?? new Map<Promise<void>, number>();
    this.#readers.set(runId, readers);
    const progressed = (): void => void readers.set(promise, performance.now());
    progressed();
    return {
      progressed,
      done: () => {
        readers.delete(promise);
        if (readers.size === 0) this.#readers.delete(runId);
        resolve();
      },
    };
  }

  /**
   * Resolves when nobody reads the run's output any more.
   * @param patienceMs - readers who have taken nothing for so long are not waited for.
   */
  async readersDone(runId: string, patienceMs: number): Promise<void> {
    for (;;) {
      const since = performance.now() - patienceMs;
      const slow = [...(this.#readers.get(runId) ?? [])].filter(([, at]) => at > since);
      if (slow.length === 0) return;
      const waits = slow.map(([done]) => done);
      await Promise.race([Promise.all(waits), sleep(patienceMs, undefined, { ref: false })]);
    }
  }

  all(): readonly LiveRun[] {
    return [...this.#byRunId.values()];
  }
}

/**
 * What undoes the steps of an operation that fails half way: pushed beside each step, run backwards unless
 * the last line commits. Unlike the built-in AsyncDisposableStack a failing undo never stops the others and
 * never hides the error that started it all.
 */

/** One way back. */
export type Undo = () => void | Promise<void>;

interface Entry {
  readonly label: string;
  readonly undo: Undo;
}

/**
 * `await using undo = new UndoStack(report)`; after each step `undo.push('remove cgroup', () => …)`; last
 * line `undo.commit()`.
 */
export class UndoStack implements AsyncDisposable {
  #entries: Entry[] = [];
  readonly #report: ((label: string, error: unknown) => void) | undefined;

  /**
   * @param report - told of each undo that fails when disposed of. Without it disposing throws the failures,
   * and `await using` would wrap the operation's own error into a SuppressedError.
   */
  constructor(report?: (label: string, error: unknown) => void) {
    this.#report = report;
  }

  /** How many steps would be undone now. */
  get size(): number {
    return this.#entries.length;
  }

  /** @param label - names the undo in errors: verb and noun, `remove cgroup /mydocker/…`. */
  push(label: string, undo: Undo): void {
    this.#entries.push({ label, undo });
  }

  /** The operation is done: nothing is undone any more. */
  commit(): void {
    this.#entries = [];
  }

  /** Hands all steps over to another owner, who disposes of them in this one's place. */
  move(): UndoStack {
    const next = new UndoStack(this.#report);
    next.#entries = this.#entries;
    this.#entries = [];
    return next;
  }

  /**
   * Runs every undo, newest first, each after the one before has ended.
   * @throws AggregateError of all that failed, each wrapped in an Error that has its label.
   */
  async teardown(): Promise<void> {
    const failures: Error[] = [];
    // An undo may push another one, so the stack is emptied one by one.
    for (let entry = this.#entries.pop(); entry !== undefined; entry = this.#entries.pop()) {
      try {
        await entry.undo();
      } catch (error) {
        failures.push(new Error(`cannot ${entry.label}: ${messageOf(error)}`, { cause: error }));
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, failures.map((f) => f.message).join('; '));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.teardown();
    } catch (error) {
      if (this.#report === undefined || !(error instanceof AggregateError)) throw error;
      for (const failure of error.errors as Error[]) this.#report(failure.message, failure.cause);
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

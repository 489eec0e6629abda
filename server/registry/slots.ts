/** Lets so many go on at the same time; the others wait in the order in which they came. */
export class Slots {
  #free: number;
  readonly #waiting = new Set<() => void>();

  /** @param count - how many. */
  constructor(count: number) {
    this.#free = count;
  }

  /** To be disposed of. @throws the signal's reason. */
  async take(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait(signal);
    return {
      [Symbol.dispose]: () => {
        const [next] = this.#waiting;
        if (next === undefined) this.#free += 1;
        else next();
      },
    };
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#waiting.delete(go);
        reject(signal.reason);
      };
      const go = (): void => {
        this.#waiting.delete(go);
        signal.removeEventListener('abort', abort);
        resolve();
      };
      this.#waiting.add(go);
      signal.addEventListener('abort', abort, { once: true });
    });
  }
}

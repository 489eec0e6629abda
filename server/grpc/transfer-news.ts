/**
 * What is to be told about a transfer and was not sent yet: progress no oftener than a person can see, and
 * never more of it waiting than one for each layer, however slow the client reads.
 */

/** Between two messages about the same thing. */
const PROGRESS_MS = 200;

/** News of one call. */
export class TransferNews<Event> {
  /** By what it is about: newer news replace older ones. */
  readonly #waiting = new Map<string, Event>();
  readonly #sentAt = new Map<string, number>();
  #wake: () => void = () => undefined;
  #ended = false;

  /** Left out where the same stage of the same thing was told a moment ago. */
  progress(digest: string, stage: string, event: Event): void {
    const key = `${digest} ${stage}`;
    const now = performance.now();
    if (now - (this.#sentAt.get(key) ?? -PROGRESS_MS) < PROGRESS_MS) return;
    this.#sentAt.set(key, now);
    this.tell(digest, event);
  }

  /** @param about - replaces what waits about the same. */
  tell(about: string, event: Event): void {
    this.#waiting.set(about, event);
    this.#wake();
  }

  readonly end = (): void => {
    this.#ended = true;
    this.#wake();
  };

  /** All of them, until the end. */
  async *events(): AsyncGenerator<Event, undefined> {
    for (;;) {
      for (const [key, event] of this.#waiting) {
        this.#waiting.delete(key);
        yield event;
      }
      if (this.#waiting.size > 0) continue;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

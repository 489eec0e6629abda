/**
 * Volumes that somebody is about to use: a container that is being recorded, a start that has not mounted them yet.
 * What is held is not removed, and who wants to hold one waits for a removal that has begun.
 */
import type { ObjectQueues } from './object-queues.ts';

export class HeldVolumes {
  readonly #queues: ObjectQueues;
  readonly #holds = new Map<string, number>();

  constructor(queues: ObjectQueues) {
    this.#queues = queues;
  }

  /** How many hold a volume. */
  count(name: string): number {
    return this.#holds.get(name) ?? 0;
  }

  /** Holds volumes, whether they are there or not, until disposed of. */
  async hold(names: readonly string[]): Promise<Disposable> {
    const held = [...new Set(names)];
    for (const name of held)
      await this.#queues.run('volume', name, async () => {
        this.#holds.set(name, this.count(name) + 1);
      });
    return {
      [Symbol.dispose]: () => {
        for (const name of held.splice(0)) this.#drop(name);
      },
    };
  }

  #drop(name: string): void {
    const left = this.count(name) - 1;
    if (left > 0) this.#holds.set(name, left);
    else this.#holds.delete(name);
  }
}

/** Runs work while nobody else changes these volumes. */
export async function withVolumes<T>(
  queues: ObjectQueues,
  names: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  // In the same order whoever asks, or two would wait for each other.
  const [first, ...rest] = [...names].sort();
  if (first === undefined) return await work();
  return await queues.run('volume', first, () => withVolumes(queues, rest, work));
}

/**
 * One writer per object: changes of the same container, network, image or volume wait for each other, changes of
 * different ones do not. There is no global lock.
 */

/** What kind of object; an operation on several takes them in this order. */
export type ObjectKind = 'container' | 'network' | 'image' | 'volume';

export class ObjectQueues {
  readonly #tails = new Map<string, Promise<void>>();

  /**
   * Runs `work` when everybody before it is done with the object.
   * @returns what `work` returns; its error is the caller's alone.
   */
  async run<T>(kind: ObjectKind, id: string, work: () => Promise<T>): Promise<T> {
    const key = `${kind} ${id}`;
    const before = this.#tails.get(key);
    const { promise: tail, resolve: done } = Promise.withResolvers<void>();
    this.#tails.set(key, tail);
    try {
      await before;
      return await work();
    } finally {
      done();
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }
}

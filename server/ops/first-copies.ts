/**
 * What first starts copy before there is any process: a root filesystem with vfs, the content of volumes. It may take
 * seconds, and who kills, stops or removes the container by force ends it.
 */
import { cannot } from '../model/error.ts';

/** One start that copies. */
interface Copying {
  readonly abort: AbortController;
  /** Resolves when it is over; never rejects. */
  readonly ended: Promise<void>;
}

/** Copies under way, by container: at most one, as starts queue. */
export class FirstCopies {
  readonly #running = new Map<string, Copying>();

  /**
   * Runs a copy that {@link end} ends.
   * @param signal - ends it as well.
   * @throws what the work throws: the reason of the signal that it is given.
   */
  async run(
    id: string,
    name: string,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const abort = new AbortController();
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    this.#running.set(id, { abort, ended });
    try {
      await work(signal === undefined ? abort.signal : AbortSignal.any([abort.signal, signal]));
      // It came too late to end the work, and the start shall not go on all the same.
      abort.signal.throwIfAborted();
    } catch (error) {
      throw abort.signal.aborted ? killed(name) : error;
    } finally {
      this.#running.delete(id);
      resolve();
    }
  }

  /** Ends a container's copy and waits for it. @returns false where there is none. */
  async end(id: string): Promise<boolean> {
    const copying = this.#running.get(id);
    copying?.abort.abort();
    await copying?.ended;
    return copying !== undefined;
  }
}

const killed = (name: string): Error =>
  cannot('aborted', 'start', 'container', name, 'it was killed meanwhile', {
    reason: 'KILLED',
    exitStatus: 125,
  });

/**
 * The calls that are open, each with a signal that ends its work: when its client leaves, when its deadline
 * passes, when the server stops.
 */
import type { EventEmitter } from 'node:events';
import { cancelled, deadlineExceeded, MydockerError } from '../model/error.ts';

/** What a handler knows of its call beside the request. */
export interface CallContext {
  /** Its reason is a MydockerError. */
  readonly signal: AbortSignal;
}

/** The part of a grpc-js call that is needed here. */
interface ServerCall extends EventEmitter {
  readonly cancelled: boolean;
  getDeadline(): Date | number;
}

/** A call under way. */
export interface OpenCall extends CallContext {
  /** Names it in the log: unlike any other of this process. */
  readonly id: string;
  /**
   * What to tell the client: an end of the call by itself wins over what the work made of it.
   */
  explain(thrown: unknown): unknown;
  /** To be called once, when nothing more is sent. */
  end(): void;
}

export class Calls {
  readonly #open = new Set<AbortController>();
  #count = 0;
  #stopped: MydockerError | undefined;

  /** Number of open calls. */
  get size(): number {
    return this.#open.size;
  }

  begin(call: ServerCall): OpenCall {
    const controller = new AbortController();
    const { signal } = controller;
    this.#open.add(controller);
    const leave = (): void => controller.abort(reasonOf(call));
    call.once('cancelled', leave);
    if (call.cancelled) leave();
    if (this.#stopped !== undefined) controller.abort(this.#stopped);
    this.#count += 1;
    return {
      id: `${process.pid}-${this.#count}`,
      signal,
      explain: (thrown) => (signal.aborted && isAbort(thrown) ? signal.reason : thrown),
      end: () => {
        call.removeListener('cancelled', leave);
        this.#open.delete(controller);
      },
    };
  }

  /** Ends all calls, also those to come, with this error. */
  endAll(reason: MydockerError): void {
    this.#stopped = reason;
    for (const controller of this.#open) controller.abort(reason);
  }
}

function reasonOf(call: ServerCall): MydockerError {
  const deadline = Number(call.getDeadline());
  return Date.now() >= deadline
    ? deadlineExceeded('the deadline has passed')
    : cancelled('the request was cancelled');
}

/** Work that is ended by its signal throws all sorts of things; what it refused before that still counts. */
function isAbort(thrown: unknown): boolean {
  return !(thrown instanceof MydockerError) || thrown.code === 'cancelled';
}

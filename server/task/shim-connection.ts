/**
 * A conversation with one shim: over its launch connection when this server started it, over its control
 * socket when an earlier server did. Both speak the same records, so everything above is one path.
 */
import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { sendDescriptors } from '../../native/socket.ts';
import { deadlineExceeded, unavailable } from '../model/error.ts';
import { LaunchFailure, ShimGone } from './shim-error.ts';
import {
  decodeFound,
  decodeMessage,
  encodeLaunchRequest,
  encodeMessage,
  followingBytes,
  MESSAGE_BYTES,
  type Message,
  NOTICE,
  REQUEST,
} from './shim-protocol.ts';

/** Longest that a shim may take to answer anything. */
const SHIM_DEADLINE_MS = 2000;

/** The process exists, in its cgroup and namespaces, and waits at the gate (where it has one). */
export interface Created {
  readonly pid: number;
  readonly shimPid: number;
  /** Clock ticks since boot, as in /proc/PID/stat. */
  readonly pidStartTime: bigint;
  readonly shimStartTime: bigint;
}

/** A shim whose launcher waits for the plan of a start. */
export interface Waiting {
  readonly launcherPid: number;
  readonly shimPid: number;
  readonly shimStartTime: bigint;
}

export interface ShimExit {
  readonly exitStatus: number;
  readonly signal: number;
  /** ns since epoch. */
  readonly exitedAt: bigint;
  /** The exit record is on the disk. */
  readonly recorded: boolean;
}

const SIGKILL = 9;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class ShimConnection {
  readonly #socket: Socket;
  readonly #descriptor: number | undefined;
  readonly #spoken = Promise.withResolvers<void>();
  readonly #parked = Promise.withResolvers<Waiting>();
  readonly #created = Promise.withResolvers<Created>();
  readonly #started = Promise.withResolvers<void>();
  readonly #exited = Promise.withResolvers<ShimExit>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #waiters = new Map<number, Waiter>();
  #pending = Buffer.alloc(0);
  #seq = 0;
  #committed: boolean;
  #failure: Error | undefined;
  #givenUp = false;
  #silent = false;

  /**
   * @param socket - connected; belongs to the connection from now on.
   * @param committed - the shim outlives its server already: an earlier one made it.
   * @param descriptor - of the socket, where it is known. Without it a message to a shim that has just ended
   * throws away what that one said last and nobody has read yet; there the exit record tells the same.
   */
  constructor(socket: Socket, committed = false, descriptor?: number) {
    this.#socket = socket;
    this.#descriptor = descriptor;
    this.#committed = committed;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#end());
    socket.on('close', () => this.#closed.resolve());
    for (const { promise } of [this.#parked, this.#created, this.#started, this.#exited])
      promise.catch(() => undefined);
  }

  /** The shim has said something, or will not say anything any more. */
  get spoken(): Promise<void> {
    return this.#spoken.promise;
  }

  /** It waits for {@link begin}. Rejects with LaunchFailure or ShimGone. */
  get parked(): Promise<Waiting> {
    return this.#parked.promise;
  }

  /** Rejects with LaunchFailure or ShimGone. */
  get created(): Promise<Created> {
    return this.#created.promise;
  }

  /** The user's program runs. Rejects with LaunchFailure or ShimGone. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  /** Rejects with LaunchFailure or ShimGone. */
  get exited(): Promise<ShimExit> {
    return this.#exited.promise;
  }

  /** The connection is closed. The shim keeps its end open as long as it lives, unless it is committed and the server has left. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** It has left a request without an answer, and said nothing since. */
  get silent(): boolean {
    return this.#silent;
  }

  /**
   * Gives a parked shim the plan of a start.
   * @param plan - sealed.
   * @param descriptors - for the plan's first slots; duplicated.
   * @throws MydockerError `unavailable` when the shim is gone.
   */
  begin(plan: number, descriptors: readonly number[]): void {
    const all = [plan, ...descriptors];
    try {
      sendDescriptors(this.#descriptor ?? -1, encodeLaunchRequest(all.length), all);
    } catch (cause) {
      throw unavailable('cannot launch: the shim that waited for it is gone', {
        reason: 'SHIM_GONE',
        cause,
      });
    }
  }

  /** From now on the shim outlives this server. @param start - and its gate may open. */
  commit(start: boolean): void {
    // Whoever gave it up has hung up, perhaps after this could still arrive.
    if (this.#givenUp) return;
    this.#committed = true;
    this.#send(encodeMessage(REQUEST.commit, 0, start ? 1 : 0));
  }

  /**
   * @returns 0n done, else the errno as a name.
   * @throws MydockerError `deadline-exceeded` when the shim does not answer, `unavailable` when it is gone.
   */
  async request(type: number, a = 0, b = 0, deadlineMs: number = SHIM_DEADLINE_MS): Promise<void> {
    if (this.#socket.destroyed) throw unavailable('the shim is gone', { reason: 'SHIM_GONE' });
    const seq = ++this.#seq;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiters.set(seq, { resolve, reject });
    this.#send(encodeMessage(type, seq, a, b));
    const timer = setTimeout(() => {
      this.#silent = true;
      reject(
        deadlineExceeded(`the shim did not answer within ${deadlineMs} ms`, {
          reason: 'SHIM_NOT_RESPONDING',
        }),
      );
    }, deadlineMs);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiters.delete(seq);
    }
  }

  /**
   * Ends the process, wherever its start stands. Before the commit the shim leaves nothing at all.
   * @returns when the shim has said that it is over, is gone, or does not answer: then it is {@link silent}, counts
   * as gone, and what it still makes has to go when it does.
   */
  async giveUp(): Promise<void> {
    this.#givenUp = true;
    if (this.#committed) {
      // An errno says that the process is ending already.
      await this.request(REQUEST.signal, SIGKILL).catch(() => undefined);
      if (this.#silent) this.#fail(new ShimGone(true));
    } else this.#socket.end();
    await this.exited.catch(() => undefined);
  }

  /** Lets go of the shim; one that is committed lives on. */
  close(): void {
    this.#socket.destroy();
  }

  /** A record is smaller than the socket's buffer by far, so it is written whole or not at all. */
  #send(record: Buffer): void {
    if (this.#descriptor === undefined) this.#socket.write(record);
    else if (!this.#socket.destroyed) {
      try {
        writeSync(this.#descriptor, record);
      } catch {
        // The shim is gone; the end of the stream says so, after its last words.
      }
    }
  }

  #take(chunk: Buffer): void {
    let bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (bytes.length >= MESSAGE_BYTES) {
      const message = decodeMessage(bytes.subarray(0, MESSAGE_BYTES));
      const end = MESSAGE_BYTES + followingBytes(message);
      if (bytes.length < end) break;
      this.#handle(message, bytes.subarray(MESSAGE_BYTES, end));
      bytes = bytes.subarray(end);
    }
    this.#pending = Buffer.from(bytes);
  }

  #handle(message: Message, rest: Buffer): void {
    this.#silent = false;
    this.#spoken.resolve();
    switch (message.type) {
      case NOTICE.parked:
        this.#parked.resolve({ launcherPid: message.a, shimPid: message.b, shimStartTime: message.y });
        break;
      case NOTICE.created:
        this.#created.resolve({
          pid: message.a,
          shimPid: message.b,
          pidStartTime: message.x,
          shimStartTime: message.y,
        });
        break;
      case NOTICE.started:
        this.#started.resolve();
        break;
      case NOTICE.failed:
        this.#fail(
          new LaunchFailure(
            message.a,
            message.b,
            Number(message.x),
            rest.length === 0 ? undefined : decodeFound(rest),
          ),
        );
        break;
      case NOTICE.exited:
        this.#started.resolve();
        this.#exited.resolve({
          exitStatus: message.a,
          signal: message.b,
          exitedAt: message.x,
          recorded: message.y !== 0n,
        });
        break;
      case NOTICE.reply:
        this.#reply(message);
        break;
    }
  }

  #reply(message: Message): void {
    const waiter = this.#waiters.get(message.seq);
    if (message.a === 0) waiter?.resolve();
    else {
      const errno = getSystemErrorName(-message.a);
      waiter?.reject(unavailable(errno, { reason: errno }));
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#spoken.resolve();
    this.#parked.reject(this.#failure);
    this.#created.reject(this.#failure);
    this.#started.reject(this.#failure);
    this.#exited.reject(this.#failure);
  }

  #end(): void {
    this.#fail(new ShimGone(this.#givenUp));
    for (const { reject } of this.#waiters.values())
      reject(unavailable('the shim is gone', { reason: 'SHIM_GONE' }));
  }
}

/**
 * A launch whose connection is in the test's own hands: every record can be sent and looked at, junk too, and
 * the connection closed at any moment. What the server never does is done here.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { sealedMemfd } from '../../native/memfd.ts';
import { SOCKET_TYPE, sendDescriptors, socketPair } from '../../native/socket.ts';
import {
  decodeMessage,
  encodeLaunchRequest,
  encodeMessage,
  MESSAGE_BYTES,
  type Message,
  type NOTICE,
} from '../../server/task/shim-protocol.ts';
import { socketOf } from '../../server/task/shim-sockets.ts';

/** One end of a conversation with a shim. */
export class RawConnection {
  readonly socket: Socket;
  readonly messages: Message[] = [];
  /** The other end is closed. */
  ended = false;
  #pending = Buffer.alloc(0);
  #changed = Promise.withResolvers<void>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#end());
    socket.on('end', () => this.#end());
  }

  send(type: number, a = 0, b = 0, seq = 0): void {
    this.socket.write(encodeMessage(type, seq, a, b));
  }

  /** The first message of a type, now or to come. @throws Error when the connection ends without it. */
  async next(type: (typeof NOTICE)[keyof typeof NOTICE]): Promise<Message> {
    for (;;) {
      const index = this.messages.findIndex((message) => message.type === type);
      const [found] = index < 0 ? [] : this.messages.splice(index, 1);
      if (found !== undefined) return found;
      if (this.ended) throw new Error(`no message ${type}; there were ${JSON.stringify(this.#types())}`);
      await this.#changed.promise;
    }
  }

  /** Resolves when the other end is closed. */
  async end(): Promise<void> {
    while (!this.ended) await this.#changed.promise;
  }

  close(): void {
    this.socket.destroy();
  }

  #types(): number[] {
    return this.messages.map(({ type }) => type);
  }

  #take(chunk: Buffer): void {
    const bytes = Buffer.concat([this.#pending, chunk]);
    let at = 0;
    for (; at + MESSAGE_BYTES <= bytes.length; at += MESSAGE_BYTES)
      this.messages.push(decodeMessage(bytes.subarray(at, at + MESSAGE_BYTES)));
    this.#pending = bytes.subarray(at);
    this.#wake();
  }

  #end(): void {
    this.ended = true;
    this.#wake();
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** A zygote that takes any bytes for a request. */
export class RawZygote {
  readonly process: ChildProcess;
  readonly #socket: number;

  /** @param title - padded to the length of the longest title that a shim will take. */
  constructor(program: string, title: string) {
    const binary = sealedMemfd('mydocker-shim', readFileSync(program));
    const [ours, theirs] = socketPair(SOCKET_TYPE.seqPacket);
    this.#socket = ours;
    this.process = spawn('/proc/self/fd/3', [], {
      argv0: title,
      stdio: ['ignore', 'ignore', 'ignore', binary, theirs],
      env: {},
      cwd: '/',
      detached: true,
    });
    this.process.on('error', () => undefined);
    closeSync(binary);
    closeSync(theirs);
  }

  /** @throws SyscallError when the zygote is gone. */
  request(bytes: Uint8Array, descriptors: readonly number[]): void {
    sendDescriptors(this.#socket, bytes, descriptors);
  }

  /** @param plan - its bytes, or a descriptor of anything. */
  launch(plan: Uint8Array | number, descriptors: readonly number[] = []): RawConnection {
    const [ours, theirs] = socketPair(SOCKET_TYPE.stream);
    const planFd = typeof plan === 'number' ? plan : sealedMemfd('mydocker-plan', plan);
    this.request(encodeLaunchRequest(2 + descriptors.length), [planFd, theirs, ...descriptors]);
    if (typeof plan !== 'number') closeSync(planFd);
    closeSync(theirs);
    return new RawConnection(socketOf(ours));
  }

  close(): void {
    closeSync(this.#socket);
  }
}

/**
 * Answers to containers that ask for names, at the gateway's address of their network. Who asks is known by network
 * and address; what is no name of a neighbour is asked of the servers that the asker has, if it may leave at all.
 */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from '../model/logger.ts';
import type { NetworkRecord } from '../model/network.ts';
import { forward, type Transport, takeMessages, withLength } from './dns-forward.ts';
import {
  addressAnswer,
  DNS_CODE,
  DNS_TYPE,
  nameAnswer,
  readQuery,
  refusal,
  reverseAddress,
} from './dns-message.ts';
import type { Address } from './ip.ts';

/** What one who asks may know. */
export interface Asker {
  /** Addresses of a neighbour; undefined where nobody has this name. */
  readonly addressesOf: (name: string) => readonly Address[] | undefined;
  /** Name of the neighbour with this address. */
  readonly nameOf: (address: string) => string | undefined;
  /** Whom to ask about the rest of the world; none for who has no way out. */
  readonly servers: () => readonly string[];
}

/** @param address - where a question came from. @returns undefined for a stranger. */
export type FindAsker = (networkId: string, address: string) => Asker | undefined;

const DNS_PORT = 53;
/** Questions under way at a time, of all and of one container; more are answered with a failure. */
const MAX_FORWARDED = 512;
const MAX_FORWARDED_EACH = 64;
/** Connections at a time of one network and of one container, and how long one may say nothing, in ms. */
const MAX_CONNECTIONS = 256;
const MAX_CONNECTIONS_EACH = 16;
const IDLE_MS = 5000;
/** What a connection may send before a message is whole: the longest there is. */
const MAX_PENDING_BYTES = 65_537;

interface Sockets {
  readonly udp: UdpSocket;
  readonly tcp: Server;
}

/** How much each one has of something that nobody may have too much of. */
class Counts {
  readonly #most: number;
  readonly #counts = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  /** @returns false where he has as much as anybody may. */
  take(who: string): boolean {
    const count = this.#counts.get(who) ?? 0;
    if (count >= this.#most) return false;
    this.#counts.set(who, count + 1);
    return true;
  }

  give(who: string): void {
    const count = this.#counts.get(who) ?? 0;
    if (count > 1) this.#counts.set(who, count - 1);
    else this.#counts.delete(who);
  }
}

/** The resolver of one server. */
export class Resolver {
  readonly #find: FindAsker;
  readonly #log: Logger;
  readonly #open = new Map<string, Promise<Sockets | undefined>>();
  readonly #serving = new Set<string>();
  readonly #stopped = new AbortController();
  #forwarded = 0;
  readonly #forwardedEach = new Counts(MAX_FORWARDED_EACH);
  readonly #connectionsEach = new Counts(MAX_CONNECTIONS_EACH);

  constructor(find: FindAsker, log: Logger) {
    this.#find = find;
    this.#log = log;
  }

  /** Whether a network has somebody who answers. */
  isServing(networkId: string): boolean {
    return this.#serving.has(networkId);
  }

  /**
   * Answers in a network from now on; its bridge has the gateway's address. Where somebody else on the host has that
   * port, nobody answers: that is logged, and no failure.
   */
  async serve({ id, gateway, name }: Pick<NetworkRecord, 'id' | 'gateway' | 'name'>): Promise<void> {
    if (this.#serving.has(id)) return;
    const opening = this.#open.get(id) ?? this.#listen(id, gateway, name);
    this.#open.set(id, opening);
    if ((await opening) === undefined) this.#open.delete(id);
    else this.#serving.add(id);
  }

  async #listen(id: string, gateway: string, name: string): Promise<Sockets | undefined> {
    const udp = createSocket('udp4');
    // Who has asked all may say so and still be answered.
    const tcp = createServer({ allowHalfOpen: true }, (socket) => this.#converse(id, socket));
    tcp.maxConnections = MAX_CONNECTIONS;
    try {
      await new Promise<void>((resolve, reject) => {
        udp.once('error', reject).bind({ address: gateway, port: DNS_PORT, exclusive: true }, resolve);
      });
      await new Promise<void>((resolve, reject) => {
        tcp.once('error', reject).listen({ host: gateway, port: DNS_PORT, exclusive: true }, resolve);
      });
    } catch (err) {
      udp.close();
      tcp.close();
      this.#log.warn({ err, network: name }, 'nobody answers for names in a network');
      return undefined;
    }
    udp.on('error', (err) => this.#log.warn({ err, network: name }, 'a question was lost'));
    tcp.on('error', (err) => this.#log.warn({ err, network: name }, 'a connection was lost'));
    udp.on('message', (message, from) => void this.#answerUdp(id, udp, message, from));
    // The server may end all the same.
    udp.unref();
    tcp.unref();
    return { udp, tcp };
  }

  async #answerUdp(
    id: string,
    udp: UdpSocket,
    message: Buffer,
    { address, port }: RemoteInfo,
  ): Promise<void> {
    const answer = await this.#answer(id, address, message, 'udp');
    // Closed meanwhile, or the asker is gone.
    if (answer !== undefined && this.#serving.has(id)) udp.send(answer, port, address, () => undefined);
  }

  #converse(id: string, socket: Socket): void {
    const from = `${id} ${socket.remoteAddress}`;
    if (!this.#connectionsEach.take(from)) {
      socket.destroy();
      return;
    }
    socket.on('close', () => this.#connectionsEach.give(from));
    let pending = Buffer.alloc(0);
    let last = Promise.resolve();
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('end', () => void last.then(() => socket.end()));
    socket.on('data', (piece: Buffer) => {
      const { messages, rest } = takeMessages(Buffer.concat([pending, piece]));
      pending = Buffer.from(rest);
      if (pending.length > MAX_PENDING_BYTES) socket.destroy();
      // One after the other: who sends more than he reads waits for himself.
      socket.pause();
      last = last.then(async () => {
        for (const message of messages) {
          const answer = await this.#answer(id, socket.remoteAddress ?? '', message, 'tcp');
          if (answer !== undefined && socket.writable) socket.write(withLength(answer));
        }
        socket.resume();
      });
    });
  }

  async #answer(
    id: string,
    from: string,
    message: Buffer,
    transport: Transport,
  ): Promise<Buffer | undefined> {
    const query = readQuery(message);
    if (query.kind === 'none') return undefined;
    if (query.kind !== 'question')
      return refusal(message, query.kind === 'other' ? DNS_CODE.unimplemented : DNS_CODE.formatError);
    const asker = this.#find(id, from);
    if (asker === undefined) return refusal(message, DNS_CODE.refused);
    const { question } = query;
    if (question.isInternet) {
      const own = ownAnswer(asker, message, question);
      if (own !== undefined) return own;
    }
    const servers = asker.servers();
    if (servers.length === 0) return refusal(message, DNS_CODE.refused);
    const who = `${id} ${from}`;
    if (this.#forwarded >= MAX_FORWARDED || !this.#forwardedEach.take(who))
      return refusal(message, DNS_CODE.serverFailure);
    this.#forwarded += 1;
    try {
      const answer = await forward(message, servers, transport, this.#stopped.signal);
      return answer ?? refusal(message, DNS_CODE.serverFailure);
    } finally {
      this.#forwarded -= 1;
      this.#forwardedEach.give(who);
    }
  }

  /** Nobody answers in a network any more. */
  async close(networkId: string): Promise<void> {
    this.#serving.delete(networkId);
    const sockets = await this.#open.get(networkId);
    this.#open.delete(networkId);
    sockets?.udp.close();
    sockets?.tcp.close();
  }

  /** Ends everything. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all([...this.#open.keys()].map((id) => this.close(id)));
  }
}

function ownAnswer(
  { addressesOf, nameOf }: Asker,
  message: Buffer,
  question: {
    readonly name: string;
    readonly type: number;
    readonly isInternet: boolean;
    readonly end: number;
  },
): Buffer | undefined {
  const { name, type } = question;
  if (type === DNS_TYPE.ptr) {
    const address = reverseAddress(name);
    const neighbour = address === undefined ? undefined : nameOf(address);
    return neighbour === undefined ? undefined : nameAnswer(message, question, neighbour);
  }
  const addresses = addressesOf(name);
  return addresses === undefined ? undefined : addressAnswer(message, question, addresses);
}

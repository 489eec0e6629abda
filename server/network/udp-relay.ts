/**
 * Datagrams that the kernel cannot lead to a container, passed on by the server: IPv6 to a container that has IPv4
 * alone, and `::1`. Each caller has a socket of its own towards the container, so that answers find back; one that says
 * nothing for a while is forgotten, as the kernel forgets conversations that it translates.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';

/** Where what arrives is passed on to. */
export interface PortTarget {
  readonly address: string;
  readonly port: number;
}

/** Who is turned away, by the address that he calls from; of one link it ends in `%` and the interface. */
export type Refuses = (address: string) => boolean;

/** What a relay holds at most, for each port. Times in ms. */
export interface RelayLimits {
  /** Callers at once. A further one is not heard until one of them is forgotten: who is there is not disturbed. */
  readonly callers: number;
  /** Of silence, while the container has said nothing: whoever sends under many addresses does not stay for long. */
  readonly unansweredMs: number;
  /** Of silence, when it has. Both as the kernel's own for conversations of UDP. */
  readonly answeredMs: number;
  /** What waits to be sent in one direction; more is lost, as it is on any wire. */
  readonly queuedBytes: number;
}

const LIMITS: RelayLimits = {
  callers: 512,
  unansweredMs: 30_000,
  answeredMs: 120_000,
  queuedBytes: 1 << 20,
};

interface Conversation {
  readonly target: PortTarget;
  readonly send: (message: Buffer) => void;
  readonly end: () => void;
}

/** What passes datagrams on that arrive at one socket. */
export interface UdpRelay {
  /** @param target - of a caller who was led elsewhere so far, the conversation begins anew. */
  readonly pass: (message: Buffer, from: RemoteInfo, target: PortTarget) => void;
  /** Callers at present. */
  readonly size: () => number;
  readonly end: () => void;
}

const noop = (): void => undefined;

/**
 * @param front - the socket that callers know; theirs are the answers that it sends.
 * @param refuses - asked when a conversation would begin.
 */
export function udpRelay(front: Socket, refuses: Refuses, limits: RelayLimits = LIMITS): UdpRelay {
  const open = new Map<string, Conversation>();
  const sendFrom = (socket: Socket, message: Buffer, port: number, address: string): void => {
    // A socket that is closed has no queue to ask for.
    if (socket.getSendQueueSize() < limits.queuedBytes) socket.send(message, port, address, noop);
  };
  const begin = (key: string, from: RemoteInfo, target: PortTarget): Conversation => {
    const socket = createSocket(target.address.includes(':') ? 'udp6' : 'udp4');
    let patience = setTimeout(() => end(), limits.unansweredMs).unref();
    const end = (): void => {
      if (!open.delete(key)) return;
      clearTimeout(patience);
      socket.close();
    };
    let answered = false;
    socket.unref();
    // Out of descriptors, or no way there: the caller hears nothing, as from a host that is not there.
    socket.on('error', end);
    socket.on('message', (message, { address, port }) => {
      if (address !== target.address || port !== target.port) return;
      if (!answered) {
        answered = true;
        clearTimeout(patience);
        patience = setTimeout(end, limits.answeredMs).unref();
      } else patience.refresh();
      sendFrom(front, message, from.port, from.address);
    });
    const conversation: Conversation = {
      target,
      send: (message) => {
        patience.refresh();
        sendFrom(socket, message, target.port, target.address);
      },
      end,
    };
    open.set(key, conversation);
    return conversation;
  };
  return {
    pass: (message, from, target) => {
      const key = `${from.port} ${from.address}`;
      const known = open.get(key);
      const same = known?.target.address === target.address && known.target.port === target.port;
      if (known !== undefined && !same) known.end();
      if (!same && (open.size >= limits.callers || refuses(from.address))) return;
      const conversation = same ? known : begin(key, from, target);
      conversation?.send(message);
    },
    size: () => open.size,
    end: () => {
      for (const conversation of open.values()) conversation.end();
    },
  };
}

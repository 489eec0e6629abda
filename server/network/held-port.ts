/**
 * A port of the host that is taken: a socket of the server's that listens on it, so that no other process gets it. The
 * kernel's map leads what arrives to the container before any socket sees it. What does arrive here comes by a way
 * that the kernel cannot translate (IPv6 to a container that has IPv4 alone, `::1`) or while somebody has removed the
 * rules; it is passed on.
 */
import { createSocket } from 'node:dgram';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { PortProtocol, PublishedPort } from '../model/port.ts';
import { type PortTarget, type Refuses, udpRelay } from './udp-relay.ts';

/** Connections that are passed on at once, for each port. */
const MAX_RELAYED = 512;
const BACKLOG = 128;

/** A port that this process has. */
export interface HeldPort {
  /** Of the host; the one that was picked. */
  readonly port: number;
  /** From now on; undefined: whoever comes is turned away. */
  target: PortTarget | undefined;
  close(): void;
}

/** What a bind says of a port that somebody has, and of an address that the host lacks. */
export const errnoOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';

const noop = (): void => undefined;

/** Both directions have an end of their own. */
function relay(from: Socket, { address, port }: PortTarget): void {
  const to = connect({ host: address, port, allowHalfOpen: true, noDelay: true });
  const end = (): void => {
    from.resetAndDestroy();
    to.destroy();
  };
  from.on('error', end);
  to.on('error', end);
  from.on('close', () => to.destroy());
  to.on('close', () => from.destroy());
  from.pipe(to);
  to.pipe(from);
}

function holdTcp(host: string, port: number, refuses: Refuses): Promise<HeldPort> {
  const open = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: false });
  server.maxConnections = MAX_RELAYED;
  server.unref();
  const held: { -readonly [K in keyof HeldPort]: HeldPort[K] } = {
    port,
    target: undefined,
    close: () => {
      server.close(noop);
      for (const socket of open) socket.resetAndDestroy();
    },
  };
  server.on('connection', (socket) => {
    if (held.target === undefined || refuses(socket.remoteAddress ?? '')) {
      socket.resetAndDestroy();
      return;
    }
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    relay(socket, held.target);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: BACKLOG, exclusive: true }, () => {
      server.removeListener('error', reject);
      // Running out of descriptors, for one: whoever came is gone, the port is not.
      server.on('error', noop);
      const address = server.address();
      held.port = typeof address === 'object' ? (address?.port ?? port) : port;
      resolve(held);
    });
  });
}

function holdUdp(host: string, port: number, refuses: Refuses): Promise<HeldPort> {
  const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4' });
  socket.unref();
  const datagrams = udpRelay(socket, refuses);
  const held: { -readonly [K in keyof HeldPort]: HeldPort[K] } = {
    port,
    target: undefined,
    close: () => {
      datagrams.end();
      socket.close();
    },
  };
  socket.on('message', (message, from) => {
    if (held.target !== undefined) datagrams.pass(message, from, held.target);
  });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.removeListener('error', reject);
      socket.on('error', noop);
      held.port = socket.address().port;
      resolve(held);
    });
  });
}

/** No socket: nobody but a process that speaks SCTP could take it, and Node does not. */
const holdNothing = (port: number): HeldPort => ({ port, target: undefined, close: noop });

const HOLD: Readonly<
  Record<PortProtocol, (host: string, port: number, refuses: Refuses) => Promise<HeldPort>>
> = {
  tcp: holdTcp,
  udp: holdUdp,
  sctp: async (_host, port) => holdNothing(port),
};

/**
 * Takes one port; 0 as the host's port picks a free one.
 * @param refuses - the kernel's rules see what is passed on as the host's own.
 * @throws NodeJS.ErrnoException EADDRINUSE, EADDRNOTAVAIL, EACCES.
 */
export async function holdPort(
  { protocol, hostIp, hostPort }: PublishedPort,
  refuses: Refuses,
): Promise<HeldPort> {
  const hold = HOLD[protocol];
  if (hostIp !== '') return await hold(hostIp, hostPort, refuses);
  try {
    return await hold('::', hostPort, refuses);
  } catch (error) {
    // A kernel may have no IPv6.
    if (!['EAFNOSUPPORT', 'EADDRNOTAVAIL'].includes(errnoOf(error))) throw error;
    return await hold('0.0.0.0', hostPort, refuses);
  }
}

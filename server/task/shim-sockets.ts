/** Sockets to shims: those in run folders, and pairs one end of which goes along with a launch. */
import { closeSync, constants, openSync } from 'node:fs';
import { connect, Socket } from 'node:net';
import { SOCKET_TYPE, socketPair, widenSendBuffer } from '../../native/socket.ts';

/** What a process may have written that its client has not read, and the other way round. */
const STDIO_AHEAD_BYTES = 1 << 20;

/** O_PATH: enough to reach what is below. */
const O_PATH = 0o10000000;

/**
 * Connects to a socket in a run folder, through the folder's descriptor: a path of any length will do.
 * @throws the errors of node:net: ENOENT, ECONNREFUSED when no shim listens.
 */
export async function connectInFolder(folder: string, name: 'control' | 'attach'): Promise<Socket> {
  const fd = openSync(folder, O_PATH | constants.O_DIRECTORY);
  try {
    const socket = connect({ path: `/proc/self/fd/${fd}/${name}`, allowHalfOpen: false });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once('connect', resolve);
    socket.once('error', reject);
    await promise;
    socket.off('error', reject);
    return socket;
  } finally {
    closeSync(fd);
  }
}

/** Two connected descriptors: one for {@link socketOf}, one to hand over with a launch. */
const connectedPair = (): [ours: number, theirs: number] => socketPair(SOCKET_TYPE.stream);

/**
 * The same for the stdio of a process without a log, where one end waits for the other: each may be ahead, so that
 * not every piece costs a turn of everybody on the way.
 */
export function stdioPair(): [ours: number, theirs: number] {
  const pair = connectedPair();
  for (const end of pair) widenSendBuffer(end, STDIO_AHEAD_BYTES);
  return pair;
}

/** A socket whose other end has hung up. */
export function endedSocket(): Socket {
  const [ours, theirs] = connectedPair();
  closeSync(theirs);
  return socketOf(ours);
}

/** Wraps a descriptor that is one end of a socket pair. */
export const socketOf = (fd: number): Socket => new Socket({ fd, readable: true, writable: true });

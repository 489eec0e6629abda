/**
 * A unix socket that is never open to others for a moment, that replaces what a dead server left and never
 * what a live one uses, and whose path may be as long as it likes.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  linkSync,
  lstatSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { basename, dirname, isAbsolute } from 'node:path';
import { failedPrecondition, invalidArgument, type MydockerError, unimplemented } from '../model/error.ts';

/** A socket that accepts. */
export interface Listener {
  /** `unix:///run/mydocker/mydocker.sock`. */
  readonly address: string;
  /** Accepts no more and removes the socket where it is still ours. */
  close(): void;
}

const SOCKET_MODE = 0o660;

/**
 * Path of an address.
 * @param address - `unix:///abs/path` or `unix:/abs/path`.
 * @throws MydockerError `invalid-argument`, or `unimplemented` for tcp.
 */
export function socketPath(address: string): string {
  if (address.startsWith('tcp:'))
    throw unimplemented(`cannot listen on ${address}: this version serves unix sockets only`, {
      reason: 'LISTEN_UNIMPLEMENTED',
      hint: 'give unix://PATH; over a network, forward the socket with ssh',
    });
  const path = /^unix:(?:\/\/)?(\/(?!\/).*[^/])$/.exec(address)?.[1];
  if (path !== undefined && isAbsolute(path) && !path.includes('\0')) return path;
  throw invalidArgument(`cannot listen on ${address}: it is no address`, {
    reason: 'ADDRESS_INVALID',
    hint: 'the form is unix:///absolute/path',
  });
}

/**
 * Binds and accepts.
 * @param gid - group that may connect beside root; undefined: none.
 * @throws MydockerError `failed-precondition` when another server answers there, or something else is there.
 */
export async function listenUnix(
  address: string,
  gid: number | undefined,
  accept: (socket: Socket) => void,
): Promise<Listener> {
  const path = socketPath(address);
  const folderFd = openFolder(address, dirname(path));
  try {
    // Paths through the descriptor are short whatever the folder's is: a socket's has 107 bytes.
    const folder = `/proc/self/fd/${folderFd}`;
    const final = `${folder}/${basename(path)}`;
    await removeStale(address, final);
    // Bound where nobody else may enter, given away when it is as it shall be.
    const hidden = mkdtempSync(`${folder}/.listen-`);
    const server = createServer(accept);
    try {
      await bound(server, `${hidden}/s`);
      chmodSync(`${hidden}/s`, SOCKET_MODE);
      if (gid !== undefined) chownSync(`${hidden}/s`, 0, gid);
      linkSync(`${hidden}/s`, final);
    } catch (cause) {
      server.close();
      throw refused(address, (cause as NodeJS.ErrnoException).code ?? 'it cannot be bound', cause);
    } finally {
      removeQuietly(() => unlinkSync(`${hidden}/s`));
      removeQuietly(() => rmdirSync(hidden));
    }
    return { address, close: closer(server, path, lstatSync(final).ino) };
  } finally {
    closeSync(folderFd);
  }
}

function openFolder(address: string, folder: string): number {
  try {
    return openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (cause) {
    throw refused(address, `its folder: ${(cause as NodeJS.ErrnoException).code ?? 'EIO'}`, cause);
  }
}

async function removeStale(address: string, path: string): Promise<void> {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) return;
  if (!status.isSocket()) throw refused(address, 'something that is no socket is there');
  if (await answers(path))
    throw refused(
      address,
      'another server answers there',
      undefined,
      'stop it, or give this one another --state',
    );
  // Only what was asked: somebody may have come in between.
  if (lstatSync(path, { throwIfNoEntry: false })?.ino === status.ino) unlinkSync(path);
}

/** Whether somebody accepts; one whose queue is full is somebody. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT');
    });
  });
}

function bound(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}

function closer(server: Server, path: string, ino: number): () => void {
  // An accept that fails (too many files) is over with that connection.
  server.on('error', () => undefined);
  return () => {
    server.close();
    if (lstatSync(path, { throwIfNoEntry: false })?.ino === ino) removeQuietly(() => unlinkSync(path));
  };
}

function removeQuietly(remove: () => void): void {
  try {
    remove();
  } catch {
    // Gone, or left to the next start.
  }
}

function refused(address: string, why: string, cause?: unknown, hint?: string): MydockerError {
  return failedPrecondition(`cannot listen on ${address}: ${why}`, {
    reason: 'LISTEN_FAILED',
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Where the server listens, and how a socket is reached whose path is longer than the kernel takes. */
import { closeSync, openSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { UsageError } from '../usage-error.ts';

/** sun_path has 108 bytes and ends with NUL. Source: unix(7). */
const MAX_PATH_BYTES = 107;

/** open(2): a descriptor that only names the folder. Equal on x86-64 and arm64. */
const O_PATH = 0o10000000;

/** A path that connect(2) takes. */
export interface ReachablePath {
  readonly path: string;
  /** Lets go of what the path goes through; to be called once connected, and harmless after that. */
  release(): void;
}

/**
 * Path of an address.
 * @param host - `unix://PATH` or an absolute path.
 * @throws UsageError for every other form.
 */
export function parseHost(host: string): string {
  const path = host.startsWith('unix://') ? host.slice('unix://'.length) : host;
  if (path.startsWith('/')) return path;
  throw new UsageError(`invalid host ${JSON.stringify(host)}: it is not unix://PATH with an absolute path`, {
    hint: 'for example unix:///run/mydocker/mydocker.sock',
  });
}

/** A path to the socket that is short enough, through its folder's descriptor where the real one is not. */
export function reachablePath(path: string): ReachablePath {
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return { path, release: () => {} };
  const folder = openSync(dirname(path), O_PATH);
  let open = true;
  const release = (): void => {
    if (open) closeSync(folder);
    open = false;
  };
  return { path: `/proc/self/fd/${folder}/${basename(path)}`, release };
}

/**
 * The server's folders, made and closed to others at every start, and what is read from them before the
 * store can be opened.
 */
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { failedPrecondition } from '../model/error.ts';
import { isId } from '../model/ids.ts';
import { decodeJson } from '../store/codec.ts';
import type { Recoverable } from '../store/store.ts';
import { claimState } from './claim-state.ts';
import type { Paths } from './engine.ts';

/** Members of this group may use the socket, where it exists. */
const GROUP = 'mydocker';
/** Bytes of a config.json that are read; a configuration's limits are far below. */
const MAX_CONFIG_CHARS = 16 << 20;

/** What preparing found out. */
export interface Prepared {
  /** Real paths. */
  readonly paths: Paths;
  /** 8 hex digits of the root's hash. */
  readonly instance: string;
  /** Group that may use the socket; undefined: root alone. */
  readonly socketGid: number | undefined;
}

/**
 * Makes what is missing and sets all modes: what was opened up since the last start is closed again.
 * @throws MydockerError `failed-precondition` naming the folder that cannot be made, or is another server's.
 */
export function prepareFolders({ root, state }: Paths): Prepared {
  const socketGid = groupId(GROUP);
  for (const path of [root, state]) make(path);
  // Two ways to the same folder must be one root, with one name for its cgroups.
  const paths = { root: realpathSync(root), state: realpathSync(state) };
  claimState(paths);
  for (const name of ['meta', 'blobs', 'layers', 'containers', 'volumes']) make(`${paths.root}/${name}`);
  for (const name of ['shims', 'mount', 'mount/root', 'mount/etc']) make(`${paths.state}/${name}`);
  if (socketGid !== undefined) {
    // They may reach the socket, and see nothing else.
    chownSync(paths.state, 0, socketGid);
    chmodSync(paths.state, 0o710);
  }
  for (const name of readdirSync(paths.state)) {
    if (name.startsWith('.listen-')) rmSync(`${paths.state}/${name}`, { recursive: true, force: true });
  }
  return { paths, instance: instanceKey(paths.root), socketGid };
}

function make(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    chmodSync(path, 0o700);
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? 'EIO';
    throw failedPrecondition(`cannot use folder ${path}: ${errno}`, {
      reason: 'FOLDER_UNUSABLE',
      hint: 'mydockerd needs root and a disk that can be written; --root and --state name other folders',
      cause,
    });
  }
}

/** @param root - real path. */
export function instanceKey(root: string): string {
  return createHash('sha256').update(root).digest('hex').slice(0, 8);
}

function groupId(name: string): number | undefined {
  let text = '';
  try {
    text = readFileSync('/etc/group', 'utf8');
  } catch {
    return undefined;
  }
  const gid = new RegExp(`^${name}:[^:]*:(\\d+):`, 'm').exec(text)?.[1];
  return gid === undefined ? undefined : Number(gid);
}

/** The config.json of every container on the disk, for a store that has lost records. */
export async function readRecoverable(root: string): Promise<readonly Recoverable[]> {
  const found: Recoverable[] = [];
  for (const id of readdirSync(`${root}/containers`)) {
    if (isId(id)) found.push({ id, record: readConfig(`${root}/containers/${id}/config.json`) });
  }
  return found;
}

/** @returns undefined for what cannot be read; the store says that it is lost. */
function readConfig(path: string): unknown {
  try {
    return decodeJson(readFileSync(path, 'utf8').slice(0, MAX_CONFIG_CHARS));
  } catch {
    return undefined;
  }
}

/** Highest number of a layer's folder, so that none is given out twice; 0n where there is none. */
export function highestSerial(root: string): bigint {
  let highest = 0n;
  for (const name of readdirSync(`${root}/layers`)) {
    const serial = /^(?:\.(?:tmp|rm)-)?(\d{1,18})$/.exec(name)?.[1];
    if (serial !== undefined && BigInt(serial) > highest) highest = BigInt(serial);
  }
  return highest;
}

/**
 * A state folder belongs to one root: a server that finds shims there which its metadata does not know takes
 * them for leftovers and ends them, and they must not be another server's.
 */
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { failedPrecondition } from '../model/error.ts';
import type { Paths } from './engine.ts';

/** Holds the path of the root. */
const OWNER = 'root.lock';

/**
 * Takes the folder, until it is removed or the machine restarted.
 * @param paths - real paths of folders that exist.
 * @throws MydockerError `failed-precondition` where another root has it.
 */
export function claimState({ root, state }: Paths): void {
  const path = `${state}/${OWNER}`;
  const mine = `${state}/.${OWNER}-${process.pid}`;
  try {
    // Of two at once one wins, and nobody sees half a path.
    writeFileSync(mine, root, { mode: 0o600 });
    linkSync(mine, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const owner = readFileSync(path, 'utf8');
    if (owner === root) return;
    throw failedPrecondition(`cannot use folder ${state}: it is the state of another server`, {
      reason: 'STATE_IN_USE',
      hint: `give this one a --state of its own; if the server on ${owner} is gone for good, remove the folder`,
    });
  } finally {
    rmSync(mine, { force: true });
  }
}

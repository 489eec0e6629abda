/**
 * Puts a test file on a machine of its own. Importing this file re-executes the whole test process in new
 * network, mount, pid, ipc and uts namespaces, so that a test may start servers, make links and rules, and be
 * killed at any moment: what it leaves dies with it, and everything it can see there is its own.
 *
 * The control groups and the disk are the machine's; test/harness/leaks.ts watches those by name.
 */
import { spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { removeLeftovers } from './clean.ts';
import { FILE_TIMEOUT_MS } from './cli.ts';

/** Says in which network namespace the process was placed, so that a copied environment is not believed. */
const MARK = 'MYDOCKER_TEST_HOST';

// Process 1 of the namespace reaps what is orphaned there, which a shell that waits does.
const INIT = `
  ip link set lo up || exit 1
  ${MARK}=$(readlink /proc/self/ns/net); export ${MARK}
  "$@"
  exit $?`;

function enter(): void {
  if (process.env[MARK] === readlinkSync('/proc/self/ns/net')) return;
  if (process.getuid?.() !== 0) {
    console.error('these tests need root: namespaces, mounts and control groups');
    process.exit(1);
  }
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  // Names of folders and control groups begin with it, so that they can be told from those of other files.
  const mark = `${process.env['MYDOCKER_TEST_RUN'] ?? 'alone'}-${process.pid}`;
  // Whoever kills this process kills the namespace, and with it everything in it.
  const child = spawnSync(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', 'unshare', '--net', '--mount', '--ipc', '--uts', '--pid', '--fork'],
      ...['--propagation', 'private', '--mount-proc', '--kill-child=KILL', 'sh', '-c', INIT, 'sh', ...self],
    ],
    {
      stdio: 'inherit',
      env: { ...process.env, MYDOCKER_TEST_RUN: mark },
      // Of a test file, not of a benchmark. Here, because this process, waiting, hears no signal but SIGKILL.
      timeout: process.env['NODE_TEST_CONTEXT'] === undefined ? undefined : FILE_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    },
  );
  if (child.error !== undefined) {
    removeLeftovers(mark);
    throw child.error;
  }
  // After a success nothing is left, and if there is, it must be seen.
  if (child.status !== 0) removeLeftovers(mark);
  process.exit(child.status ?? 1);
}

enter();

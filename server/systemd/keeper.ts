/**
 * systemd makes no scope without a process, and removes one's groups as soon as it has none: before the container's
 * process is born there, and, after its end, before the counters are read that tell whether it was killed for memory. So
 * something else sits beside the container's group from before its beginning until its shim is gone.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { makePipe } from '../../native/pipe.ts';
import { cannot } from '../model/error.ts';

/** A process that does nothing. Disposed of, it is the shim's alone, or ends where no shim has it. */
export interface Keeper extends Disposable {
  readonly pid: number;
  /** It lives as long as somebody has this descriptor open. */
  readonly leash: number;
}

/** @throws MydockerError `failed-precondition` where there is no shell; SyscallError EMFILE. */
export async function startKeeper(): Promise<Keeper> {
  const { read, write } = makePipe();
  try {
    // A session of its own: what interrupts this server from a terminal is not meant for it.
    const options = { env: {}, cwd: '/', detached: true } as const;
    const child = spawn('/bin/sh', ['-c', 'read _'], { ...options, stdio: [read, 'ignore', 'ignore'] });
    await once(child, 'spawn');
    child.unref();
    return { pid: child.pid ?? 0, leash: write, [Symbol.dispose]: () => closeSync(write) };
  } catch (cause) {
    closeSync(write);
    const { code = String(cause) } = cause as NodeJS.ErrnoException;
    throw cannot('failed-precondition', 'run', 'program', '/bin/sh', `the kernel says ${code}`, {
      reason: 'UNIT_REFUSED',
      hint: 'the cgroup driver systemd needs a shell at this place',
      cause,
    });
  } finally {
    closeSync(read);
  }
}

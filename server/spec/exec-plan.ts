/**
 * An additional process in a running container: a helper outside joins the container's cgroup and namespaces
 * and takes the final credentials, and only then the process is born, inside.
 */
import type { OciProcess } from '../model/oci-spec.ts';
import { CLONE, type Op, type Plan, type PlanPart, type Slot, type SlotAllocator } from '../model/plan.ts';
import { planRunFolder, type RunPlace, shimTitle } from './launch-plan.ts';
import { O, open } from './ops.ts';
import {
  oomScore,
  planExec,
  planIdentity,
  planStdio,
  planWorkingDirectory,
  type TerminalSize,
} from './process-plan.ts';

/** Descriptors that come with the launch. */
const EXEC_SLOTS = { init: 0, attach: 1 } as const;
export const EXEC_INHERITED = 2;

export interface ExecInput {
  readonly process: OciProcess;
  readonly place: RunPlace;
  readonly openStdin: boolean;
  readonly terminalSize: TerminalSize;
  readonly cgroup: PlanPart & { readonly cgroup?: Slot };
}

/** By the pidfd of the container's first process; what is shared with the host is joined all the same. */
const JOINED = CLONE.newNs | CLONE.newUts | CLONE.newIpc | CLONE.newNet | CLONE.newPid | CLONE.newCgroup;

/** @throws RangeError when arguments and environment are too long for any plan. */
export function planExecProcess(input: ExecInput, slots: SlotAllocator): Plan {
  const { process, place, cgroup } = input;
  const run = slots.take();
  const root = slots.take();
  const stdio = planStdio(
    process,
    input.openStdin,
    { root, path: 'dev/pts/ptmx' },
    input.terminalSize,
    slots,
  );
  const cwd = planWorkingDirectory(process.cwd, root, slots);
  const child: Op[] = [
    { name: 'umask', x: 0, about: 'make files with exactly the modes given' },
    oomScore(process),
    // By descriptors of the host's view, before the container's view replaces it.
    ...cgroup.child,
    { name: 'setns', a: EXEC_SLOTS.init, x: JOINED, about: "join the container's namespaces" },
    { name: 'keyring', s1: '_ses.mydocker', about: 'make a session keyring' },
    open(root, '/', O.path | O.directory),
    ...cwd.ops,
    ...stdio.makeTerminal,
    { name: 'fchdir', a: cwd.slot, about: `enter ${process.cwd}` },
    ...stdio.connect,
    ...planIdentity(process),
    { name: 'respawn', about: 'be born in the pid namespace' },
    { name: 'setsid', about: 'begin a session' },
    ...(stdio.peer === undefined
      ? []
      : [{ name: 'controlling-tty', about: 'make the terminal the controlling one' } as const]),
    planExec(process),
  ];
  return {
    cloneFlags: 0n,
    ...(cgroup.cgroup === undefined ? {} : { cgroup: cgroup.cgroup }),
    head: place.head,
    title: shimTitle(place.runFolder),
    hold: {
      terminal: process.terminal,
      backpressure: true,
      runFolder: run,
      ...(stdio.stdin === undefined ? {} : { stdin: stdio.stdin }),
      stdout: stdio.stdout,
      ...(stdio.stderr === undefined ? {} : { stderr: stdio.stderr }),
      ...(stdio.keep === undefined ? {} : { keep: stdio.keep }),
      attach: EXEC_SLOTS.attach,
      logSerial: 0,
      logMaxFiles: 0,
      logMaxBytes: 0n,
    },
    sections: {
      'parent-before': [
        ...planRunFolder(place, run, undefined),
        ...stdio.parentBefore,
        ...cgroup.parentBefore,
      ],
      'parent-after': [...cgroup.parentAfter, ...stdio.parentAfter],
      child,
      'after-exit': [...cgroup.afterExit],
    },
  };
}

/**
 * How a container starts, as one list: the order of this file is the order in the kernel, and docs/start.md
 * tells the same list with each step's reason.
 */
import type { OciNamespace, OciSpec } from '../model/oci-spec.ts';
import {
  CLONE,
  type NetworkPart,
  type Op,
  type Plan,
  type PlanPart,
  type Slot,
  type SlotAllocator,
} from '../model/plan.ts';
import { ownProcfs, setParameter } from '../model/procfs-plan.ts';
import { cgroupView } from './cgroup-view.ts';
import { type FilesystemTree, mountFilesystems, takeParts } from './filesystems.ts';
import { closeMaps, type MapSlot } from './id-map-plan.ts';
import { closeJoined, type Joins, joinOthers, joinPid } from './join-plan.ts';
import { type MemorySlot, takeMemory } from './memory-plan.ts';
import { MOUNT_ATTR_RDONLY, MS_REC_PRIVATE, MS_REC_SLAVE } from './mount-options.ts';
import { ANY, barrier, bind, O, open, openInRoot, touch, unshare } from './ops.ts';
import {
  oomScore,
  planExec,
  planIdentity,
  planStdio,
  planWorkingDirectory,
  type Stdio,
  type TerminalSize,
} from './process-plan.ts';
import { planRootfs, type RootfsParts } from './rootfs-plan.ts';
import { takeSharedTrees } from './shared-trees.ts';
import { isOfInterface, sysctlParts } from './sysctls.ts';

/** A run and its folders. */
export interface RunPlace {
  /** First lines of the state file and the exit record. */
  readonly head: string;
  /** `/run/mydocker/shims/<run id>`; must not exist. */
  readonly runFolder: string;
  /** Absent: output is not kept. */
  readonly logsFolder?: string;
  readonly logSerial: number;
  readonly logMaxFiles: number;
  readonly logMaxBytes: bigint;
}

/** Everything that decides a start, but for what is in the kernel. */
export interface LaunchInput {
  readonly spec: OciSpec;
  readonly place: RunPlace;
  readonly rootfs: Omit<RootfsParts, 'procfs'>;
  /** Which of the masked paths are folders. */
  readonly maskedFolders: ReadonlySet<string>;
  readonly openStdin: boolean;
  /** Process 1 is an init of ours, the program its child. */
  readonly init: boolean;
  readonly terminalSize: TerminalSize;
  /** Namespaces of other containers. */
  readonly joins: Joins;
  /** Volumes that are shared memory. The shim keeps them until it ends. */
  readonly memory: readonly MemorySlot[];
  /** What maps owners of mounts. */
  readonly maps: readonly MapSlot[];
  readonly cgroup: Omit<PlanPart, 'child'> & { readonly cgroup?: Slot };
  /** Messages in the host's and the container's network namespace. */
  readonly network: NetworkPart;
  /** Free slot, for the kernel parameters of the container. */
  readonly sys: Slot;
}

const CLONE_FLAG: Partial<Record<OciNamespace, bigint>> = {
  mount: CLONE.newNs,
  pid: CLONE.newPid,
  network: CLONE.newNet,
  ipc: CLONE.newIpc,
  uts: CLONE.newUts,
  // The cgroup namespace is not here: it is unshared after joining, so that it begins at the right group.
};

export const shimTitle = (runFolder: string): string => `mydocker-shim ${runFolder}`;

/** The run folder and what the shim keeps in it. */
export function planRunFolder(place: RunPlace, run: Slot, logs: Slot | undefined): Op[] {
  const make: Op = { name: 'mkdir', s1: place.runFolder, x: 0o700, about: `make ${place.runFolder}` };
  const ops = [make, open(run, place.runFolder, O.rdonly | O.directory)];
  if (logs !== undefined && place.logsFolder !== undefined)
    ops.push(open(logs, place.logsFolder, O.rdonly | O.directory));
  return ops;
}

/** /dev/console is the terminal, by descriptor: a name could be swapped. */
function console(stdio: Stdio, dev: Slot, target: Slot): Op[] {
  if (stdio.peer === undefined) return [];
  return [
    ...touch(dev, 'console'),
    openInRoot(target, dev, 'console', ANY),
    bind(target, stdio.peer, 0, false, '/dev/console'),
  ];
}

/** @param ofInterface - those that are there with an interface only, or the others. */
const sysctls = ({ linux }: OciSpec, sys: Slot, ofInterface: boolean): Op[] =>
  Object.entries(linux.sysctl)
    .filter(([name]) => isOfInterface(name) === ofInterface)
    .map(([name, value]) => setParameter(sys, sysctlParts(name).join('/'), value, `set sysctl ${name}`));

function childOps(
  input: LaunchInput,
  stdio: Stdio,
  slots: SlotAllocator,
  known: { root: Slot; dev: Slot; gate: Slot },
  filesystems: readonly FilesystemTree[],
): Op[] {
  const { spec } = input;
  const { root, dev, gate } = known;
  const scratch = slots.take();
  const procfs = slots.take();
  const cwd = planWorkingDirectory(spec.process.cwd, root, slots);
  const joined = joinOthers(input.joins, slots);
  const shared = takeSharedTrees(spec.mounts, slots);
  const memory = takeMemory(input.memory, spec.mounts, slots);
  const parts = takeParts(filesystems, input.rootfs.mountPoint, slots);
  const own = (kind: OciNamespace): boolean => spec.linux.namespaces.includes(kind);
  return [
    { name: 'umask', x: 0, about: 'make files with exactly the modes given' },
    open(scratch, '/', O.path | O.directory),
    ...shared.ops,
    // Before any mount: what happens in here must never reach the host, but for those.
    {
      name: 'propagation',
      a: scratch,
      x: spec.linux.rootfsPropagation === 'rslave' ? MS_REC_SLAVE : MS_REC_PRIVATE,
      about: 'cut mount propagation to the host',
    },
    oomScore(spec.process),
    { name: 'keyring', s1: '_ses.mydocker', about: 'make a session keyring' },
    ...joined.ops,
    ...memory.ops,
    ...parts.ops,
    ...ownProcfs(procfs, input.sys),
    // Before the mounts, which the shim spends with making the interface.
    ...input.network.handOver,
    ...planRootfs(
      spec,
      {
        ...input.rootfs,
        procfs,
        mountShm: joined.mountShm,
        maps: new Map(input.maps.flatMap(({ slot, destinations }) => destinations.map((at) => [at, slot]))),
        sharedTrees: new Map([...shared.trees, ...memory.trees, ...parts.trees]),
      },
      input.maskedFolders,
      slots,
      root,
      dev,
    ),
    ...cwd.ops,
    ...stdio.makeTerminal,
    ...console(stdio, dev, scratch),
    // Late: other containers' networks may be on their way out and hold the kernel's lock (RTNL) for a while.
    // The sysctls are written by a process whose net.* they are, below the mount that makes them read-only.
    ...input.network.child,
    ...sysctls(spec, input.sys, false),
    ...(own('uts')
      ? [{ name: 'hostname', s1: spec.hostname, about: `set hostname ${spec.hostname}` } as const]
      : []),
    // While all this was mounted the shim moved this process into its cgroup and made its interface; only now the
    // cgroup's namespace begins there.
    barrier,
    ...input.network.withInterface,
    ...sysctls(spec, input.sys, true),
    ...(own('cgroup') ? [unshare(CLONE.newCgroup, 'make the cgroup namespace')] : []),
    ...cgroupView(spec, input.rootfs.cgroupMounts, root, slots),
    ...(spec.root.readonly
      ? [{ name: 'setattr', a: root, x: MOUNT_ATTR_RDONLY, about: 'make / read-only' } as const]
      : []),
    { name: 'pivot', a: root, about: 'make the root filesystem /' },
    { name: 'fchdir', a: cwd.slot, about: `enter ${spec.process.cwd}` },
    { name: 'setsid', about: 'begin a session' },
    ...stdio.connect,
    ...(stdio.peer === undefined
      ? []
      : [{ name: 'controlling-tty', about: 'make the terminal the controlling one' } as const]),
    ...planIdentity(spec.process),
    { name: 'gate', a: gate, about: 'wait at the start gate' },
    ...(input.init ? [{ name: 'init', about: 'be a small init, and go on as its child' } as const] : []),
    planExec(spec.process),
  ];
}

/** The whole start of a container. @throws RangeError for what no plan can hold (layers, argument bytes). */
export function planLaunch(input: LaunchInput, slots: SlotAllocator): Plan {
  const { spec, place, cgroup } = input;
  const run = slots.take();
  const logs = place.logsFolder === undefined ? undefined : slots.take();
  const gate = slots.take();
  const root = slots.take();
  const dev = slots.take();
  const stdio = planStdio(
    spec.process,
    input.openStdin,
    { root: dev, path: 'pts/ptmx' },
    input.terminalSize,
    slots,
  );
  const filesystems = mountFilesystems(spec.mounts, slots);
  const cloneFlags = spec.linux.namespaces.reduce((flags, kind) => flags | (CLONE_FLAG[kind] ?? 0n), 0n);
  return {
    cloneFlags,
    ...(cgroup.cgroup === undefined ? {} : { cgroup: cgroup.cgroup }),
    gate,
    head: place.head,
    title: shimTitle(place.runFolder),
    hold: {
      terminal: spec.process.terminal,
      backpressure: false,
      runFolder: run,
      ...(logs === undefined ? {} : { logFolder: logs }),
      ...(stdio.stdin === undefined ? {} : { stdin: stdio.stdin }),
      stdout: stdio.stdout,
      ...(stdio.stderr === undefined ? {} : { stderr: stdio.stderr }),
      ...(stdio.keep === undefined ? {} : { keep: stdio.keep }),
      logSerial: place.logSerial,
      logMaxFiles: place.logMaxFiles,
      logMaxBytes: place.logMaxBytes,
    },
    sections: {
      'parent-before': [
        ...planRunFolder(place, run, logs),
        { name: 'mkfifo', a: gate, b: run, s2: 'gate', x: 0o600, about: 'make the start gate' },
        ...stdio.parentBefore,
        ...cgroup.parentBefore,
        ...joinPid(input.joins),
        // Last: a server may let it wait.
        ...filesystems.before,
      ],
      // Joining waits for the kernel (RCU), and so do interfaces (RTNL); the child mounts meanwhile, and both meet
      // at the barrier.
      'parent-after': [
        ...cgroup.parentAfter,
        // Last: interfaces of containers that have ended go meanwhile, and hold the lock that this one needs.
        ...input.network.parentAfter,
        ...stdio.parentAfter,
        ...closeJoined(input.joins),
        ...filesystems.after,
        ...closeMaps(input.maps),
        barrier,
      ],
      child: childOps(input, stdio, slots, { root, dev, gate }, filesystems.trees),
      'after-exit': [...cgroup.afterExit],
    },
  };
}

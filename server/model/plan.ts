/**
 * The launch plan as a value: a flat, ordered list of operations in four sections, and the one place that
 * says which operations there are. What each does is executed by the shim; here they are only written down.
 */

/** Index of a descriptor in the shim's table; the shim keeps slot n at descriptor `SLOT_BASE + n`. */
export type Slot = number;

export const SLOT_BASE = 32;
export const SLOT_COUNT = 192;
/** Descriptors that may be handed over with a launch; they fill the first slots. */
export const INHERIT_MAX = 16;

/** Path by which the kernel finds the descriptor of a slot: in overlay options, as a mount's source. */
export const slotPath = (slot: Slot): string => `/proc/self/fd/${SLOT_BASE + slot}`;

export const SECTIONS = ['parent-before', 'parent-after', 'child', 'after-exit'] as const;
export type Section = (typeof SECTIONS)[number];

/**
 * Operation codes, in the order of `enum op_code` in shim/plan.h. A test holds the two equal.
 */
export const OP_NAMES = [
  'barrier',
  'ask',
  'gate',
  'send-slot',
  'recv-slot',
  'open',
  'open-in-root',
  'mkdir',
  'mkdir-in-root',
  'file-in-root',
  'mknod-in-root',
  'symlink-in-root',
  'mkfifo',
  'mount',
  'bind',
  'tree',
  'place',
  'fs-open',
  'fs-config',
  'fs-mount',
  'setattr',
  'propagation',
  'pivot',
  'setns',
  'unshare',
  'hostname',
  'write',
  'write-slot',
  'rename',
  'join',
  'rlimit',
  'groups',
  'setgid',
  'setuid',
  'bounding',
  'capset',
  'no-new-privs',
  'seccomp',
  'keyring',
  'fchdir',
  'fchown',
  'setsid',
  'controlling-tty',
  'pty-peer',
  'pipe',
  'dup',
  'close',
  'respawn',
  'umask',
  'netlink',
  'bpf-attach',
  'kill-cgroup',
  'rmdir',
  'read',
  'init',
  'exec',
] as const;
export type OpName = (typeof OP_NAMES)[number];

/** One operation as it travels: which fields it uses is fixed per code (shim/plan.c, `shapes`). */
export interface Op {
  readonly name: OpName;
  readonly a?: Slot;
  readonly b?: Slot;
  readonly s1?: string | Uint8Array | readonly string[];
  readonly s2?: string | Uint8Array | readonly string[];
  readonly s3?: string | Uint8Array | readonly string[];
  readonly x?: number | bigint;
  readonly y?: number | bigint;
  readonly z?: number | bigint;
  /** An existing file is as good as a made one. */
  readonly existsOk?: boolean;
  /** A failure is no failure of the plan. */
  readonly ignoreErrors?: boolean;
  /** What it is for, in words: shown by explain and in the error when it fails. `mount /data`. */
  readonly about: string;
}

/** How the shim holds the process once it runs. */
export interface Hold {
  readonly terminal: boolean;
  /** No log; a slow client makes the process wait. */
  readonly backpressure: boolean;
  readonly runFolder: Slot;
  readonly logFolder?: Slot;
  readonly stdin?: Slot;
  readonly stdout?: Slot;
  readonly stderr?: Slot;
  /** Kept open as long as the shim lives. */
  readonly keep?: Slot;
  /** A connection that is attached from the start. */
  readonly attach?: Slot;
  /** The log file to append to, by number. */
  readonly logSerial: number;
  /** Files kept besides the one being written; 0 keeps all. */
  readonly logMaxFiles: number;
  /** Size at which the next file begins; 0n: never. */
  readonly logMaxBytes: bigint;
}

/** Everything a shim needs to make one process. */
export interface Plan {
  /** Namespaces that the child gets at the clone (CLONE_NEW*). */
  readonly cloneFlags: bigint;
  /** cgroup2 folder that the child is born in. */
  readonly cgroup?: Slot;
  /** Absent for a worker: no sockets, no log, no records, ended with its connection. */
  readonly hold?: Hold;
  /** The child is a launcher, which waits for the plan of a start and then makes its process. */
  readonly parks?: true;
  /** The shim's handle of the FIFO that starts the process; absent: it starts at once. */
  readonly gate?: Slot;
  /** First lines of the state file and of the exit record. */
  readonly head: string;
  /** What ps shows for the shim. */
  readonly title: string;
  readonly sections: Readonly<Record<Section, readonly Op[]>>;
}

/** Finds the operation that a failure record names; undefined when it names none of this plan. */
export function opAt(plan: Plan, section: number, index: number): Op | undefined {
  const name = SECTIONS[section];
  return name === undefined ? undefined : plan.sections[name][index];
}

/** What a part of a container (its cgroup, its network) adds to a plan, by section. */
export interface PlanPart {
  readonly parentBefore: readonly Op[];
  readonly parentAfter: readonly Op[];
  readonly child: readonly Op[];
  readonly afterExit: readonly Op[];
}

/** What a container's network adds to a plan. */
export interface NetworkPart {
  /** Early in the child: what the shim waits for. */
  readonly handOver: readonly Op[];
  /** In the shim, while the child mounts. */
  readonly parentAfter: readonly Op[];
  /** In the child, before it meets the shim. */
  readonly child: readonly Op[];
  /** In the child, once the shim has made its interface. */
  readonly withInterface: readonly Op[];
}

/** Gives out slots, each once. */
export interface SlotAllocator {
  take(): Slot;
}

/**
 * @param inherited - descriptors that come with the launch; they have slots 0 and up.
 * @throws RangeError from take() when there are no more: 127 layers and ten times the default mounts fit.
 */
export function slotAllocator(inherited: number): SlotAllocator {
  let next = inherited;
  return {
    take(): Slot {
      if (next >= SLOT_COUNT) throw new RangeError(`a plan has ${SLOT_COUNT} slots, this one needs more`);
      return next++;
    },
  };
}

export const CLONE = {
  newTime: 0x80n,
  newNs: 0x20000n,
  newCgroup: 0x2000000n,
  newUts: 0x4000000n,
  newIpc: 0x8000000n,
  newUser: 0x10000000n,
  newPid: 0x20000000n,
  newNet: 0x40000000n,
} as const;

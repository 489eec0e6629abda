/**
 * The last operations before exec: stdio, limits, identity, privileges. Shared by a container's first process
 * and by additional ones.
 */
import type { OciProcess } from '../model/oci-spec.ts';
import type { Op, Slot, SlotAllocator } from '../model/plan.ts';
import { capabilityMask } from './capabilities.ts';
import { close, dup, mkdirs, O, open, openInRoot, pipe, recvSlot, sendSlot } from './ops.ts';
import { RLIMITS } from './rlimits.ts';

/** Groups that a message names. */
const MAX_LISTED = 32;

/** How a process is connected: what each section does for it, and the shim's ends. */
export interface Stdio {
  readonly parentBefore: readonly Op[];
  readonly parentAfter: readonly Op[];
  /** In the child once /dev/pts can be reached. */
  readonly makeTerminal: readonly Op[];
  /** In the child, before the identity changes. */
  readonly connect: readonly Op[];
  readonly stdin?: Slot;
  readonly stdout: Slot;
  readonly stderr?: Slot;
  readonly keep?: Slot;
  /** The terminal's end of the process; undefined without a terminal. */
  readonly peer?: Slot;
}

/** Rows and columns of a terminal; zero leaves the kernel's. */
export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** Pipes for output, a pipe or /dev/null for input. The ends belong to the user, who may open /dev/stdout anew. */
function pipes(uid: number, gid: number, openStdin: boolean, slots: SlotAllocator): Stdio {
  const [inRead, inWrite, outRead, outWrite, errRead, errWrite] = Array.from({ length: 6 }, () =>
    slots.take(),
  ) as [Slot, Slot, Slot, Slot, Slot, Slot];
  const theirs = [inRead, outWrite, errWrite];
  const own = (a: Slot): Op => ({ name: 'fchown', a, x: uid, y: gid, about: 'give stdio to the user' });
  return {
    parentBefore: [
      openStdin ? pipe(inRead, inWrite, 'make the pipe of stdin') : open(inRead, '/dev/null', O.rdonly),
      pipe(outRead, outWrite, 'make the pipe of stdout'),
      pipe(errRead, errWrite, 'make the pipe of stderr'),
    ],
    parentAfter: theirs.map((slot) => close(slot, "close the process's end of stdio")),
    makeTerminal: [],
    connect: [
      ...(uid === 0 && gid === 0 ? [] : (openStdin ? theirs : [outWrite, errWrite]).map(own)),
      ...theirs.map((slot, descriptor) => dup(slot, descriptor, `connect descriptor ${descriptor}`)),
    ],
    ...(openStdin ? { stdin: inWrite } : {}),
    stdout: outRead,
    stderr: errRead,
  };
}

/** A pseudo terminal of the container's own devpts; the shim gets the master and keeps the other end open too. */
function terminal(
  uid: number,
  pts: { readonly root: Slot; readonly path: string },
  size: TerminalSize,
  slots: SlotAllocator,
): Stdio {
  const master = slots.take();
  const peer = slots.take();
  return {
    parentBefore: [],
    parentAfter: [recvSlot(master, 'take the terminal'), recvSlot(peer, "take the terminal's other end")],
    makeTerminal: [
      openInRoot(master, pts.root, pts.path, O.rdwr | O.noctty),
      { name: 'pty-peer', a: master, b: peer, x: size.rows, y: size.columns, about: 'open the terminal' },
      // 5 is tty's group, as with the devpts option.
      { name: 'fchown', a: peer, x: uid, y: 5, about: 'give the terminal to the user' },
      sendSlot(master, 'hand the terminal to the shim'),
      sendSlot(peer, "hand the terminal's other end to the shim"),
    ],
    connect: [0, 1, 2].map((descriptor) => dup(peer, descriptor, `connect descriptor ${descriptor}`)),
    stdout: master,
    keep: peer,
    peer,
  };
}

/** @param pts - where ptmx is found once the child can reach it. */
export function planStdio(
  process: OciProcess,
  openStdin: boolean,
  pts: { readonly root: Slot; readonly path: string },
  size: TerminalSize,
  slots: SlotAllocator,
): Stdio {
  const { uid, gid } = process.user;
  return process.terminal ? terminal(uid, pts, size, slots) : pipes(uid, gid, openStdin, slots);
}

/** The working directory: made when missing, opened inside the root, so that it can be nowhere else. */
export function planWorkingDirectory(
  cwd: string,
  root: Slot,
  slots: SlotAllocator,
): { ops: Op[]; slot: Slot } {
  const slot = slots.take();
  const path = cwd.replace(/^\/+/, '');
  const opened = openInRoot(slot, root, path, O.path | O.directory);
  return { slot, ops: [...mkdirs(root, path), { ...opened, about: `open the working directory ${cwd}` }] };
}

/**
 * The server's score protects or exposes the server; a container's is the kernel's default or its own. By the host's
 * procfs, so before it is out of sight. To lower it takes a capability that not every server has.
 */
export const oomScore = ({ oomScoreAdj }: OciProcess): Op => ({
  name: 'write',
  s1: '/proc/self/oom_score_adj',
  s2: String(oomScoreAdj ?? 0),
  ...(oomScoreAdj === undefined ? { ignoreErrors: true } : {}),
  about: `set the out-of-memory score to ${oomScoreAdj ?? 0}`,
});

/** Limits and identity, in the order in which each is still allowed. */
export function planIdentity(process: OciProcess): Op[] {
  const { uid, gid, additionalGids } = process.user;
  const mask = capabilityMask(process.capabilities);
  const effective = uid === 0 ? mask : 0n;
  const groups = new Uint32Array(additionalGids);
  return [
    ...process.rlimits.map(
      ({ type, soft, hard }): Op => ({
        name: 'rlimit',
        x: RLIMITS[type] ?? 0,
        y: soft,
        z: hard,
        about: `limit ${type} to ${soft}:${hard}`,
      }),
    ),
    // Dropping from the bounding set needs CAP_SETPCAP, changing ids CAP_SETUID: both before the capabilities go.
    { name: 'bounding', x: mask, about: 'drop capabilities from the bounding set' },
    { name: 'groups', s1: new Uint8Array(groups.buffer), about: `set groups ${listed(additionalGids)}` },
    { name: 'setgid', x: gid, about: `become group ${gid}` },
    { name: 'setuid', x: uid, about: `become user ${uid}` },
    { name: 'capset', x: effective, about: 'set capabilities' },
    ...(process.noNewPrivileges
      ? [{ name: 'no-new-privs', about: 'gain no privileges by exec' } as const]
      : []),
    { name: 'umask', x: 0o022, about: 'set the file mode mask' },
  ];
}

/** For messages: a user may be in very many groups. */
function listed(gids: readonly number[]): string {
  const first = gids.slice(0, MAX_LISTED).join(',');
  return gids.length > MAX_LISTED ? `${first} and ${gids.length - MAX_LISTED} more` : first;
}

/** Where to look for a command: along PATH of the process, or only at its own path when it has a slash. */
export function commandPaths(command: string, env: readonly string[]): string[] {
  if (command.includes('/')) return [command];
  const path = env.findLast((entry) => entry.startsWith('PATH='))?.slice('PATH='.length) ?? '';
  return path.split(':').map((folder) => `${folder === '' ? '.' : folder}/${command}`);
}

export function planExec(process: OciProcess): Op {
  const [command = ''] = process.args;
  return {
    name: 'exec',
    s1: commandPaths(command, process.env),
    s2: process.args,
    s3: process.env,
    about: `execute ${command}`,
  };
}

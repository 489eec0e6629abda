/** One operation of a plan as the call it becomes, for people. */
import { type Op, type OpName, SLOT_BASE, type Slot } from '../model/plan.ts';
import { capabilityNames } from './capabilities.ts';

const MOUNT_FLAGS: readonly (readonly [bit: number, name: string])[] = [
  [0x1, 'ro'],
  [0x2, 'nosuid'],
  [0x4, 'nodev'],
  [0x8, 'noexec'],
  [0x4000, 'rec'],
  [0x40000, 'private'],
  [0x80000, 'slave'],
  [0x1000000, 'strictatime'],
];
const NAMESPACES: readonly (readonly [bit: number, name: string])[] = [
  [0x20000, 'mount'],
  [0x2000000, 'cgroup'],
  [0x4000000, 'uts'],
  [0x8000000, 'ipc'],
  [0x20000000, 'pid'],
  [0x40000000, 'network'],
];

const bits = (table: typeof MOUNT_FLAGS, value: Op['x']): string =>
  table
    .filter(([bit]) => Number(value ?? 0) & bit)
    .map(([, name]) => name)
    .join('|') || '0';

const slot = (n: Slot | undefined): string => (n === undefined ? 'none' : `fd ${SLOT_BASE + n}`);
const text = (value: Op['s1']): string =>
  value instanceof Uint8Array ? `${value.length} bytes` : JSON.stringify(value ?? '');
const octal = (mode: Op['x']): string => `0${Number(mode ?? 0).toString(8)}`;

/** What a filesystem is told that nobody else is to know: cifs has pass, password, password2; ceph secret, key. */
const SECRET = /^(?:pass(?:word2?|wd)?|secret|key)$/;

/** Values may be secrets; keys are not. */
function environment(value: Op['s3'], showEnv: boolean): string {
  if (!Array.isArray(value)) return '[]';
  return JSON.stringify(showEnv ? value : value.map((entry: string) => entry.replace(/=.*$/s, '=…')));
}

/** makedev(3), backwards. */
const deviceText = (device: bigint): string =>
  `${(device >> 8n) & 0xfffn}:${(device & 0xffn) | ((device >> 12n) & 0xfff00n)}`;

/** A path, below the folder that it is relative to. */
const inFolder = ({ a, s1 }: Op): string => (`${s1}`.startsWith('/') ? text(s1) : `${slot(a)}, ${text(s1)}`);

const CALLS: Partial<Record<OpName, (op: Op, showEnv: boolean) => string>> = {
  open: (op) => `${slot(op.a)} = open(${text(op.s1)}, ${octal(op.x)})`,
  'open-in-root': (op) =>
    `${slot(op.a)} = openat2(${slot(op.b)}, ${text(op.s1)}, ${octal(op.x)}, IN_ROOT|NO_MAGICLINKS)`,
  mkdir: (op) => `mkdir(${text(op.s1)}, ${octal(op.x)})`,
  'mkdir-in-root': (op) => `mkdirat(${slot(op.b)}, ${text(op.s1)}, ${text(op.s2)}, ${octal(op.x)})`,
  'file-in-root': (op) => `mknodat(${slot(op.b)}, ${text(op.s1)}, ${text(op.s2)}, S_IFREG|${octal(op.x)})`,
  'mknod-in-root': (op) =>
    `mknodat(${slot(op.b)}, ${text(op.s2)}, ${octal(op.x)}, ${deviceText(BigInt(op.y ?? 0))})`,
  'symlink-in-root': (op) => `symlinkat(${text(op.s3)}, ${slot(op.b)}, ${text(op.s2)})`,
  mkfifo: (op) => `${slot(op.a)} = mkfifoat(${slot(op.b)}, ${text(op.s2)}, ${octal(op.x)})`,
  mount: (op) =>
    `mount(${text(op.s1)}, ${slot(op.a)}, ${text(op.s2)}, ${bits(MOUNT_FLAGS, op.x)}, ${text(op.s3)})`,
  bind: (op) =>
    `open_tree(${slot(op.b)}), mount_setattr(${bits(MOUNT_FLAGS, BigInt(op.x ?? 0) | BigInt(op.z ?? 0))}), move_mount(${slot(op.a)})`,
  tree: (op) => `${slot(op.a)} = open_tree(${slot(op.b)}, CLONE${op.y ? '|RECURSIVE' : ''})`,
  place: (op) => `move_mount(${slot(op.b)}, ${slot(op.a)})`,
  'fs-open': (op) => `${slot(op.a)} = fsopen(${text(op.s1)})`,
  'fs-config': (op, showEnv) =>
    `fsconfig(${slot(op.a)}, ${text(op.s1)}, ${SECRET.test(`${op.s1}`) && !showEnv ? '…' : text(op.s2)})`,
  'fs-mount': (op) => `${slot(op.a)} = fsconfig(${slot(op.b)}, CREATE), fsmount(${bits(MOUNT_FLAGS, op.x)})`,
  setattr: (op) =>
    `mount_setattr(${slot(op.a)}, ${op.b === undefined ? bits(MOUNT_FLAGS, op.x) : `IDMAP ${slot(op.b)}`})`,
  propagation: (op) => `mount(NULL, ${slot(op.a)}, ${bits(MOUNT_FLAGS, op.x)})`,
  pivot: (op) => `fchdir(${slot(op.a)}), pivot_root(".", "."), umount2(".", DETACH)`,
  setns: (op) => `setns(${slot(op.a)}, ${bits(NAMESPACES, op.x)})`,
  unshare: (op) => `unshare(${bits(NAMESPACES, op.x)})`,
  hostname: (op) => `sethostname(${text(op.s1)})`,
  write: (op) => `write(${inFolder(op)}, ${text(op.s2)})`,
  'write-slot': (op) => `write(${slot(op.a)}, ${text(op.s2)})`,
  rename: (op) => `rename(${text(op.s1)}, ${text(op.s2)})`,
  join: (op) => `write(${text(op.s1)}, pid)`,
  rlimit: (op) => `setrlimit(${op.x}, ${op.y}, ${op.z})`,
  groups: (op) => `setgroups(${text(op.s1)})`,
  setgid: (op) => `setresgid(${op.x})`,
  setuid: (op) => `setresuid(${op.x})`,
  bounding: (op) => `keep ${capabilityNames(BigInt(op.x ?? 0)).join(' ')}`,
  capset: (op) => `capset(${capabilityNames(BigInt(op.x ?? 0)).join(' ') || 'none'})`,
  keyring: (op) => `keyctl(JOIN_SESSION_KEYRING, ${text(op.s1)})`,
  fchdir: (op) => `fchdir(${slot(op.a)})`,
  fchown: (op) => `fchown(${slot(op.a)}, ${op.x}, ${op.y})`,
  'pty-peer': (op) => `${slot(op.b)} = ioctl(${slot(op.a)}, TIOCGPTPEER)`,
  pipe: (op) => `${slot(op.a)}, ${slot(op.b)} = pipe2(CLOEXEC)`,
  dup: (op) => `dup2(${slot(op.a)}, ${op.x})`,
  close: (op) => `close(${slot(op.a)})`,
  umask: (op) => `umask(${octal(op.x)})`,
  netlink: (op) => `rtnetlink, ${text(op.s1)}`,
  'bpf-attach': (op) => `bpf(PROG_ATTACH, ${slot(op.a)}, ${slot(op.b)}, CGROUP_DEVICE)`,
  'kill-cgroup': (op) => `freeze, kill, thaw ${text(op.s1)}`,
  rmdir: (op) => `rmdir(${text(op.s1)})`,
  read: (op) => `read(${text(op.s1)})`,
  gate: (op) => `read(${slot(op.a)}, 1 byte)`,
  exec: (op, showEnv) => `execve(${text(op.s1)}, ${text(op.s2)}, ${environment(op.s3, showEnv)})`,
};

/** @param showEnv - else the values of the environment are left out. */
export function explainOp(op: Op, showEnv: boolean): string {
  return CALLS[op.name]?.(op, showEnv) ?? op.name;
}

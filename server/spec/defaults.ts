/**
 * The default sandbox, as a Docker user expects it: capabilities, devices, mounts, masked and read-only
 * paths, limits. Everything a container gets without asking is in this file.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import type { OciDevice, OciMount, OciNamespace, OciRlimit } from '../model/oci-spec.ts';
import { capabilityNames } from './capabilities.ts';

/** Docker's fourteen: bounding, permitted and effective. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FSETID',
  'FOWNER',
  'MKNOD',
  'NET_RAW',
  'SETGID',
  'SETUID',
  'SETFCAP',
  'SETPCAP',
  'NET_BIND_SERVICE',
  'SYS_CHROOT',
  'KILL',
  'AUDIT_WRITE',
];

const device = (path: string, major: number, minor: number): OciDevice => ({
  path,
  type: 'c',
  major,
  minor,
  fileMode: 0o666,
});

/** runtime-spec, config-linux.md, "Default Devices"; console and ptmx are made with the terminal and devpts. */
export const DEFAULT_DEVICES: readonly OciDevice[] = [
  device('/dev/null', 1, 3),
  device('/dev/zero', 1, 5),
  device('/dev/full', 1, 7),
  device('/dev/random', 1, 8),
  device('/dev/urandom', 1, 9),
  device('/dev/tty', 5, 0),
];

/** Links in /dev, name and target; `core` only where the kernel has a kcore. */
export const DEV_SYMLINKS: readonly (readonly [name: string, target: string])[] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
  ['ptmx', 'pts/ptmx'],
  ['core', '/proc/kcore'],
];

/** In mounting order. cgroup comes last: it shows the right root only after the process has joined. */
export const DEFAULT_MOUNTS: readonly OciMount[] = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
  },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  {
    destination: '/sys/fs/cgroup',
    type: 'cgroup',
    source: 'cgroup',
    options: ['ro', 'nosuid', 'noexec', 'nodev'],
  },
];

const MASKED_PATHS = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];

const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

const CPU_FOLDER = '/sys/devices/system/cpu';

/** Temperature throttling of each CPU tells what the neighbours do. */
function throttleFolders(): string[] {
  if (!existsSync(CPU_FOLDER)) return [];
  return readdirSync(CPU_FOLDER)
    .filter((name) => /^cpu\d+$/.test(name))
    .map((name) => `${CPU_FOLDER}/${name}/thermal_throttle`);
}

/** What the sandbox depends on and the machine decides; looked up once, since /proc and /sys are the kernel's own. */
export interface HostFacts {
  /** Those of the masked paths that this kernel has. */
  readonly maskedPaths: readonly string[];
  /** Which of them are folders. */
  readonly maskedFolders: ReadonlySet<string>;
  readonly readonlyPaths: readonly string[];
  readonly rlimits: readonly OciRlimit[];
  /** All that this server can give, by name without `CAP_`: a container manager may itself have been given fewer. */
  readonly capabilities: readonly string[];
}

export function readHostFacts(): HostFacts {
  const maskedPaths = [...MASKED_PATHS, ...throttleFolders()].filter((path) => existsSync(path));
  return {
    maskedPaths,
    maskedFolders: new Set(maskedPaths.filter((path) => statSync(path).isDirectory())),
    readonlyPaths: READONLY_PATHS.filter((path) => existsSync(path)),
    rlimits: defaultRlimits(readFileSync('/proc/self/limits', 'utf8')),
    capabilities: permittedCapabilities(readFileSync('/proc/self/status', 'utf8')),
  };
}

/** @param status - the text of /proc/self/status. */
function permittedCapabilities(status: string): string[] {
  const [, digits = '0'] = /^CapPrm:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  return capabilityNames(BigInt(`0x${digits}`));
}

export const DEFAULT_NAMESPACES: readonly OciNamespace[] = [
  'pid',
  'network',
  'ipc',
  'uts',
  'mount',
  'cgroup',
];

/**
 * Node raises its own soft limit of open files to the hard one, and every child would inherit it: programs that
 * close all descriptors one by one would take seconds. The values are systemd's; a hard limit that is lower
 * already stays, since raising it takes a capability that this server may not have.
 * @param limits - the text of /proc/self/limits.
 */
export function defaultRlimits(limits: string): OciRlimit[] {
  const hard = /^Max open files +\S+ +(\d+)/m.exec(limits)?.[1];
  const most = hard === undefined ? NOFILE_HARD : BigInt(hard);
  const bounded = most < NOFILE_HARD ? most : NOFILE_HARD;
  return [{ type: 'NOFILE', soft: bounded < NOFILE_SOFT ? bounded : NOFILE_SOFT, hard: bounded }];
}

const NOFILE_SOFT = 1024n;
const NOFILE_HARD = 524_288n;

/** Set in a network namespace of the container's own, as Docker does. */
export const NETWORK_SYSCTLS: Readonly<Record<string, string>> = {
  'net.ipv4.ip_unprivileged_port_start': '0',
  'net.ipv4.ping_group_range': '0 2147483647',
};

export const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The ground on which all contenders stand: namespaces of the bench's own, one temporary folder on the machine's disk,
 * one control group parent. What the daemons would write below /etc and /run stays in there, and everything is gone
 * when the bench ends.
 */
import '../harness/enter.ts';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fixtureTar } from '../fixtures/images.ts';
import { endEverything, removeCgroups } from '../harness/clean.ts';
import { exitCode, PROJECT, run } from '../harness/cli.ts';
import { listMounts } from '../harness/leaks.ts';

/** Servers of mydocker's, by name. */
const SERVERS = ['own', 'traced', 'unprepared', 'traced-start'];

/** Where a contender may put its things. */
export interface Ground {
  /** Folder on the disk, for roots and images. */
  readonly folder: string;
  /** Parent of the peers' control groups, such as `/mydocker-bench-ab12`; mydocker's are the same with one of {@link SERVERS}. */
  readonly cgroupParent: string;
  /** The image of all contenders: busybox and the writer of log lines, as a rootfs tar. */
  readonly tar: string;
  /** The same unpacked. */
  readonly rootfs: string;
  /** `v1` or `v2`. */
  readonly cgroups: 'v1' | 'v2';
  /** Starts a daemon; its output goes to a file in the folder. @param env - added to this process's. */
  daemon(
    name: string,
    command: string,
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
  ): Daemon;
  /** Ends what is left and removes everything. */
  clear(): Promise<void>;
}

/** A running daemon. */
export interface Daemon {
  readonly pid: number;
  /** Where its output goes. */
  readonly log: string;
  /** Waits until a command succeeds. @throws Error with the daemon's output after 20 s. */
  ready(command: string, args: readonly string[]): Promise<void>;
  /** Asks it to end and waits. */
  stop(): Promise<void>;
}

const TMPFS_MAGIC = 0x01021994;

/** Gives this mount namespace a /run and an /etc of its own, and a control group layout that all can use. */
function separate(): 'v1' | 'v2' {
  const mount = (...args: string[]): void => void execFileSync('mount', args);
  mount('-t', 'tmpfs', '-o', 'mode=755', 'run', '/run');
  mkdirSync('/run/etc/upper', { recursive: true });
  mkdirSync('/run/etc/work');
  mount('-t', 'overlay', '-o', 'lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work', 'etc', '/etc');
  if (statfsSync('/sys/fs/cgroup').type !== TMPFS_MAGIC) return 'v2';
  const unified = '/sys/fs/cgroup/unified';
  if (existsSync(`${unified}/cgroup.controllers`)) {
    // crun refuses a hybrid layout whose v2 part has a controller, so nobody gets that part. What is made there all
    // the same must not land in the machine's own folder under it.
    execFileSync('umount', [unified]);
    mount('-t', 'tmpfs', '-o', 'mode=755', 'no-unified', unified);
  }
  return 'v1';
}

async function benchImage(folder: string): Promise<{ tar: string; rootfs: string }> {
  const rootfs = join(folder, 'rootfs');
  const tar = join(folder, 'image.tar');
  mkdirSync(rootfs);
  execFileSync('tar', ['-xf', await fixtureTar('busybox'), '-C', rootfs]);
  execFileSync('cp', [join(PROJECT, 'build/test/lines'), join(rootfs, 'bin/lines')]);
  execFileSync('tar', ['-cf', tar, '-C', rootfs, '.']);
  return { tar, rootfs };
}

function startDaemon(
  folder: string,
  name: string,
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Daemon {
  const path = join(folder, `${name}.log`);
  const log = openSync(path, 'a');
  const child: ChildProcess = spawn(command, args, {
    stdio: ['ignore', log, log],
    env: { ...process.env, ...env },
  });
  closeSync(log);
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot start ${command}`);
  return {
    pid,
    log: path,
    ready: async (command, args) => {
      for (const until = Date.now() + 20_000; ; await sleep(50)) {
        if ((await run(command, args)).code === 0) return;
        if (child.exitCode !== null || Date.now() > until) {
          throw new Error(`${name} is not ready:\n${readFileSync(path, 'utf8').slice(-2000)}`);
        }
      }
    },
    stop: async () => {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 15_000);
      await exitCode(child);
      clearTimeout(late);
    },
  };
}

/** Daemons that were killed leave their mounts, the last one on top. */
function unmountBelow(folder: string): void {
  const points = listMounts('self').map((mount) => mount.split(' ')[0] ?? '');
  for (const point of points.filter((point) => point.startsWith(`${folder}/`)).reverse()) {
    execFileSync('umount', ['--lazy', point]);
  }
}

/** Prepares the ground. */
export async function prepareGround(): Promise<Ground> {
  const cgroups = separate();
  // The disk, not a tmpfs: where images and containers lie in earnest.
  const folder = mkdtempSync('/var/tmp/mydocker-bench-');
  const cgroupParent = `/${basename(folder)}`;
  return {
    folder,
    cgroupParent,
    cgroups,
    ...(await benchImage(folder)),
    daemon: (name, command, args, env) => startDaemon(folder, name, command, args, env),
    clear: async () => {
      for (const parent of [cgroupParent, ...SERVERS.map((name) => `${cgroupParent}-${name}`)]) {
        await endEverything(parent, folder);
        removeCgroups(parent);
      }
      unmountBelow(folder);
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    },
  };
}

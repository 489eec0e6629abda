/**
 * The programs that people use today, driven the way people drive them: through their command lines, each on its own
 * folders, started only for the bench.
 */
import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DebianForm } from '../fixtures/debian-image.ts';
import { exitCode, run } from '../harness/cli.ts';
import type { Ground } from './ground.ts';

/** A peer that runs containers from images. */
export interface Peer {
  readonly name: string;
  /** Its version, as it says itself. */
  readonly version: string;
  /** Runs a command in a new container without network to its end, and removes the container. */
  runToEnd(command: readonly string[]): Promise<void>;
  /** The form of archives that it loads best. */
  readonly loads: DebianForm;
  /** Loads an archive. */
  load(path: string): Promise<void>;
  /** Removes an image with everything of it. */
  unload(image: string): Promise<void>;
  /** Fetches an image from a registry without TLS. @param reference - in full: `localhost:5000/app:1`. */
  pull(reference: string): Promise<void>;
  /** Sends it there. */
  push(reference: string): Promise<void>;
  tag(reference: string, other: string): Promise<void>;
  /** Removes one that was pulled, with everything of it. */
  forgetImage(reference: string): Promise<void>;
  /** What a command prints in a new container of such an image, without network. */
  output(reference: string, command: readonly string[]): Promise<string>;
  /** Starts a container that sleeps in the peer's own default network; absent where it has none. */
  readonly startInNetwork?: (name: string) => Promise<void>;
  /** Kills and removes what startInNetwork started. */
  readonly forget?: (names: readonly string[]) => Promise<void>;
  /** The beginning of a command line that executes something in such a container. @param flags - `-i`, `-it`. */
  readonly execIn?: (name: string, flags: string) => readonly string[];
  stop(): Promise<void>;
}

/** Runs a program whose output nobody reads: what is measured. @throws Error when it fails. */
export async function quiet(command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, { stdio: 'ignore' });
  const code = await exitCode(child);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: exit status ${code}`);
}

/** Runs a program that prepares something. @throws Error with what it said when it fails. */
export async function prepare(command: string, args: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await run(command, args, { timeoutMs: 300_000 });
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: exit status ${code}\n${stderr}${stdout}`);
}

/** What a program prints. @throws Error with what it said when it fails. */
async function read(command: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, { timeoutMs: 60_000 });
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: exit status ${code}\n${stderr}${stdout}`);
  return stdout;
}

/** What a program says of its version. */
export const firstLine = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8' }).split('\n')[0]?.trim() ?? '';

/** Debian's docker.io; its bridge and its rules are in the bench's own network namespace. */
export async function startDocker(ground: Ground): Promise<Peer> {
  const host = ['--host', 'unix:///run/docker.sock'];
  const daemon = ground.daemon('dockerd', '/usr/sbin/dockerd', [
    ...host,
    ...[
      '--data-root',
      join(ground.folder, 'docker'),
      '--exec-root',
      '/run/docker',
      '--pidfile',
      '/run/docker.pid',
    ],
    ...['--ip6tables=false', '--bip', '10.99.0.1/16', '--cgroup-parent', ground.cgroupParent],
  ]);
  await daemon.ready('/usr/bin/docker', [...host, 'version']);
  await prepare('/usr/bin/docker', [...host, 'import', ground.tar, 'bench']);
  // containerd reads what docker writes, and no rootfs tar
  await quiet('/usr/bin/docker', [
    ...host,
    'save',
    '--output',
    join(ground.folder, 'image.docker.tar'),
    'bench',
  ]);
  return {
    name: 'docker',
    version: firstLine('/usr/bin/docker', '--version'),
    startInNetwork: (name) =>
      quiet('/usr/bin/docker', [...host, 'run', '--detach', '--name', name, 'bench', 'sleep', '100000']),
    execIn: (name, flags) => ['/usr/bin/docker', ...host, 'exec', flags, name],
    forget: (names) => quiet('/usr/bin/docker', [...host, 'rm', '--force', ...names]),
    runToEnd: (command) =>
      quiet('/usr/bin/docker', [...host, 'run', '--rm', '--network', 'none', 'bench', ...command]),
    loads: 'docker',
    load: (path) => quiet('/usr/bin/docker', [...host, 'load', '-q', '-i', path]),
    unload: (image) => quiet('/usr/bin/docker', [...host, 'rmi', image]),
    pull: (reference) => quiet('/usr/bin/docker', [...host, 'pull', '-q', reference]),
    push: (reference) => quiet('/usr/bin/docker', [...host, 'push', '-q', reference]),
    tag: (reference, other) => quiet('/usr/bin/docker', [...host, 'tag', reference, other]),
    forgetImage: (reference) => quiet('/usr/bin/docker', [...host, 'rmi', reference]),
    output: (reference, command) =>
      read('/usr/bin/docker', [...host, 'run', '--rm', '--network', 'none', reference, ...command]),
    stop: () => daemon.stop(),
  };
}

/** Debian's containerd with its own client. Needs `startDocker` first, which writes the image for it. */
export async function startContainerd(ground: Ground): Promise<Peer> {
  writeFileSync(
    '/run/containerd.toml',
    `version = 2
root = "${join(ground.folder, 'containerd')}"
state = "/run/containerd-own"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "/run/containerd-own.sock"
[ttrpc]
address = "/run/containerd-own.ttrpc"
`,
  );
  const daemon = ground.daemon('containerd', '/usr/bin/containerd', ['--config', '/run/containerd.toml']);
  const address = ['--address', '/run/containerd-own.sock'];
  await daemon.ready('/usr/bin/ctr', [...address, 'version']);
  await prepare('/usr/bin/ctr', [...address, 'image', 'import', join(ground.folder, 'image.docker.tar')]);
  let number = 0;
  return {
    name: 'ctr',
    version: firstLine('/usr/bin/containerd', '--version'),
    runToEnd: (command) => {
      const id = `bench-${number++}`;
      const cgroup = ['--cgroup', `${ground.cgroupParent}/${id}`];
      return quiet('/usr/bin/ctr', [
        ...[...address, 'run', '--rm', ...cgroup, 'docker.io/library/bench:latest', id],
        ...command,
      ]);
    },
    loads: 'oci-gzip',
    load: (path) => quiet('/usr/bin/ctr', [...address, 'image', 'import', path]),
    unload: (image) =>
      quiet('/usr/bin/ctr', [...address, 'image', 'rm', '--sync', `docker.io/library/${image}`]),
    pull: (reference) => quiet('/usr/bin/ctr', [...address, 'image', 'pull', '--plain-http', reference]),
    push: (reference) => quiet('/usr/bin/ctr', [...address, 'image', 'push', '--plain-http', reference]),
    tag: (reference, other) =>
      quiet('/usr/bin/ctr', [...address, 'image', 'tag', '--force', reference, other]),
    forgetImage: (reference) => quiet('/usr/bin/ctr', [...address, 'image', 'rm', '--sync', reference]),
    output: (reference, command) => {
      const id = `output-${number++}`;
      const cgroup = ['--cgroup', `${ground.cgroupParent}/${id}`];
      return read('/usr/bin/ctr', [...address, 'run', '--rm', ...cgroup, reference, id, ...command]);
    },
    stop: () => daemon.stop(),
  };
}

/** Podman's arguments before the command. */
function podmanArgs(ground: Ground): string[] {
  return [
    ...['--root', join(ground.folder, 'podman'), '--runroot', '/run/podman', '--tmpdir', '/run/podman-tmp'],
    ...['--storage-driver', 'overlay', '--cgroup-manager', 'cgroupfs', '--events-backend', 'file'],
  ];
}

/** Debian's podman with crun and conmon; it has no daemon. */
export async function startPodman(ground: Ground): Promise<Peer> {
  const args = podmanArgs(ground);
  await prepare('/usr/bin/podman', [...args, 'import', ground.tar, 'bench']);
  return {
    name: 'podman',
    startInNetwork: (name) =>
      quiet('/usr/bin/podman', [
        ...[...args, 'run', '--detach', '--name', name, '--cgroup-parent', ground.cgroupParent, 'bench'],
        ...['sleep', '100000'],
      ]),
    execIn: (name, flags) => ['/usr/bin/podman', ...args, 'exec', flags, name],
    forget: (names) => quiet('/usr/bin/podman', [...args, 'rm', '--force', '--time', '0', ...names]),
    version: firstLine('/usr/bin/podman', '--version'),
    runToEnd: (command) =>
      quiet('/usr/bin/podman', [
        ...[...args, 'run', '--rm', '--network', 'none', '--cgroup-parent', ground.cgroupParent, 'bench'],
        ...command,
      ]),
    loads: 'oci-gzip',
    load: (path) => quiet('/usr/bin/podman', [...args, 'load', '-q', '-i', path]),
    unload: (image) => quiet('/usr/bin/podman', [...args, 'rmi', `docker.io/library/${image}`]),
    pull: (reference) => quiet('/usr/bin/podman', [...args, 'pull', '-q', '--tls-verify=false', reference]),
    push: (reference) => quiet('/usr/bin/podman', [...args, 'push', '-q', '--tls-verify=false', reference]),
    tag: (reference, other) => quiet('/usr/bin/podman', [...args, 'tag', reference, other]),
    forgetImage: (reference) => quiet('/usr/bin/podman', [...args, 'rmi', reference]),
    output: (reference, command) =>
      read('/usr/bin/podman', [
        ...[...args, 'run', '--rm', '--network', 'none', '--cgroup-parent', ground.cgroupParent, reference],
        ...command,
      ]),
    stop: () => quiet('/usr/bin/podman', [...args, 'rm', '--all', '--force']),
  };
}

/** Runs a command detached under podman and waits for its end: nothing but conmon stands between it and its log. */
export async function podmanLog(ground: Ground, command: readonly string[]): Promise<void> {
  const args = podmanArgs(ground);
  const log = ['--log-driver', 'k8s-file', '--name', 'bench-log'];
  await quiet('/usr/bin/podman', [
    ...[
      ...args,
      'run',
      '--detach',
      '--network',
      'none',
      '--cgroup-parent',
      ground.cgroupParent,
      ...log,
      'bench',
    ],
    ...command,
  ]);
  await quiet('/usr/bin/podman', [...args, 'wait', 'bench-log']);
}

/** Removes the container of `podmanLog`, with its log. */
export function podmanForget(ground: Ground): Promise<void> {
  return quiet('/usr/bin/podman', [...podmanArgs(ground), 'rm', '--force', 'bench-log']);
}

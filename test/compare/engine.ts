/** The two programs, each with a server, a folder to work in and the same way to be given a command line. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Daemon, Ground } from '../bench/ground.ts';
import { PROJECT, type RunResult, run } from '../harness/cli.ts';

/** A program and its server. */
export interface Engine {
  readonly name: 'docker' | 'mydocker';
  /** Its version, as it says itself. */
  readonly version: string;
  /** Gives a line of commands.txt to a shell. */
  give(line: string): Promise<RunResult>;
  stop(): Promise<void>;
}

const DOCKER = '/usr/bin/docker';
const LINE_MS = 30_000;

/** Debian's dockerd, in the namespaces of the ground. */
export async function startDocker(ground: Ground): Promise<Engine> {
  const socket = 'unix:///run/docker.sock';
  const daemon = ground.daemon('dockerd', '/usr/sbin/dockerd', [
    ...['--host', socket, '--data-root', join(ground.folder, 'docker'), '--exec-root', '/run/docker'],
    ...['--pidfile', '/run/docker.pid', '--ip6tables=false', '--bip', '10.99.0.1/16'],
    ...['--cgroup-parent', ground.cgroupParent],
  ]);
  await daemon.ready(DOCKER, ['--host', socket, 'version']);
  return await engine('docker', ground, daemon, DOCKER, { DOCKER_HOST: socket });
}

/** Ours, as it is built. */
export async function startMydocker(ground: Ground): Promise<Engine> {
  const state = join(ground.folder, 'state');
  const socket = `unix://${state}/mydocker.sock`;
  const daemon = ground.daemon('mydockerd', join(PROJECT, 'bin/mydockerd'), [
    ...['--root', join(ground.folder, 'root'), '--state', state, '--listen', socket],
    ...['--cgroup-parent', `${ground.cgroupParent}-own`],
  ]);
  const client = join(PROJECT, 'bin/mydocker');
  await daemon.ready(client, ['--host', socket, 'version']);
  return await engine('mydocker', ground, daemon, client, { MYDOCKER_HOST: socket });
}

async function engine(
  name: Engine['name'],
  ground: Ground,
  daemon: Daemon,
  client: string,
  env: Readonly<Record<string, string>>,
): Promise<Engine> {
  const cwd = join(ground.folder, `work-${name}`);
  mkdirSync(cwd);
  const prelude = `D() { ${client} "$@"; }\nS() { "$@"; set -- $?; sleep 1; return $1; }`;
  const give = (line: string): Promise<RunResult> =>
    run('sh', ['-c', `${prelude}\n${line}`], {
      cwd,
      env: { ...env, TAR: ground.tar, LC_ALL: 'C' },
      timeoutMs: LINE_MS,
    });
  const { stdout } = await give('D --version');
  return { name, version: stdout.trim(), give, stop: () => daemon.stop() };
}

/** This project as a contender: through its API on an open connection, and through its command line. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { NetworkMode } from '../../proto/gen/mydocker/v1/config.ts';
import { type Api, openApi } from '../harness/api.ts';
import { PROJECT, run } from '../harness/cli.ts';
import type { Daemon, Ground } from './ground.ts';
import { prepare, quiet } from './peers.ts';

const CLIENT = join(PROJECT, 'bin/mydocker');

/** Published ports: the host's, the container's, and how many. */
export type Ports = readonly {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly count?: number;
}[];

/** A server with the bench's image. */
export interface Own {
  readonly api: Api;
  readonly daemon: Daemon;
  /** Records a container that runs a command. @param inNetwork - the default one; else none. @returns its id. */
  create(command: readonly string[], inNetwork?: boolean): Promise<string>;
  /**
   * Create, start, wait, remove: what `run --rm` is, through the API.
   * @returns how long each call took, in milliseconds.
   */
  runToEnd(command: readonly string[], inNetwork?: boolean, ports?: Ports): Promise<readonly number[]>;
  /** Create and start. @returns the id. */
  startDetached(command: readonly string[], inNetwork?: boolean): Promise<string>;
  /** A container in the default network that does nothing. */
  standInNetwork(
    ports?: Ports,
  ): Promise<{ readonly id: string; readonly pid: number; readonly address: string }>;
  /** Runs `true` in a running container and waits for its end. */
  execTrue(container: string): Promise<void>;
  /** Kills and removes. */
  remove(container: string): Promise<void>;
  /** Runs the command line client. @throws Error when it fails. */
  cli(args: readonly string[]): Promise<void>;
  /** The command line that does that. */
  commandLine(args: readonly string[]): readonly string[];
  /** Runs the client and gives its standard output. */
  read(args: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

/**
 * Starts a server and imports the image.
 * @param name - `own`, or of another one beside it.
 */
export async function startOwn(
  ground: Ground,
  name = 'own',
  env: Readonly<Record<string, string>> = {},
  args: readonly string[] = [],
): Promise<Own> {
  const state = `/run/mydocker-${name}`;
  mkdirSync(state);
  const address = `unix://${state}/mydocker.sock`;
  const root = [
    '--root',
    join(ground.folder, name === 'own' ? 'mydocker' : name),
    '--state',
    state,
    '--listen',
    address,
  ];
  const daemon = ground.daemon(
    `mydockerd-${name}`,
    join(PROJECT, 'bin/mydockerd'),
    [...root, ...['--cgroup-parent', `${ground.cgroupParent}-${name}`], ...args],
    env,
  );
  await daemon.ready(CLIENT, ['--host', address, 'version']);
  await prepare(CLIENT, ['--host', address, 'import', ground.tar, 'bench']);
  const api = openApi(address);
  const create = async (
    command: readonly string[],
    inNetwork = false,
    ports: Ports = [],
  ): Promise<string> => {
    const { id } = await api.containers.createContainer({
      config: {
        rootfs: { $case: 'image', value: 'bench' },
        command: { values: [...command] },
        network: { mode: inNetwork ? NetworkMode.NETWORKS : NetworkMode.NONE, ports: [...ports] },
      },
    });
    return id;
  };
  const startDetached = async (
    command: readonly string[],
    inNetwork = false,
    ports: Ports = [],
  ): Promise<string> => {
    const container = await create(command, inNetwork, ports);
    await api.tasks.startTask({ container });
    return container;
  };
  const expectZero = (status: number | undefined): void => {
    if (status !== 0) throw new Error(`the process ended with ${status}`);
  };
  return {
    api,
    daemon,
    create,
    startDetached,
    standInNetwork: async (ports = []) => {
      const id = await startDetached(['sleep', '100000'], true, ports);
      const { container } = await api.containers.getContainer({ container: id });
      const address = container?.endpoints[0]?.ipv4Address.split('/')[0] ?? '';
      return { id, pid: container?.run?.pid ?? 0, address };
    },
    runToEnd: async (command, inNetwork = false, ports = []) => {
      const at = [performance.now()];
      const container = await create(command, inNetwork, ports);
      at.push(performance.now());
      const { run } = await api.tasks.startTask({ container });
      at.push(performance.now());
      const { exit } = await api.tasks.waitTask({ container, runId: run?.runId ?? '' });
      at.push(performance.now());
      expectZero(exit?.exitStatus);
      await api.containers.removeContainer({ container });
      at.push(performance.now());
      return at.slice(1).map((time, index) => time - (at[index] ?? 0));
    },
    execTrue: async (container) => {
      const { run } = await api.tasks.execTask({ container, process: { args: ['true'] } });
      const { exit } = await api.tasks.waitTask({ container, runId: run?.runId ?? '' });
      expectZero(exit?.exitStatus);
    },
    remove: async (container) => void (await api.containers.removeContainer({ container, force: true })),
    commandLine: (args) => [CLIENT, '--host', address, ...args],
    cli: (args) => quiet(CLIENT, ['--host', address, ...args]),
    read: async (args) => (await run(CLIENT, ['--host', address, ...args], { timeoutMs: 600_000 })).stdout,
    stop: async () => {
      api.close();
      await daemon.stop();
    },
  };
}

/**
 * A host for one test file: a server on folders of its own in namespaces of its own, and the proof that nothing is
 * left of what ran there. Importing this file moves the test process into those namespaces (see enter.ts).
 *
 * ```ts
 * let host: Host;
 * before(async () => { host = await startHost({ images: ['busybox'] }); });
 * afterEach(() => host.assertClean());
 * after(() => host.dispose());
 * ```
 */
import './enter.ts';
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FixtureName, fixtureTar } from '../fixtures/images.ts';
import { type Api, openApi } from './api.ts';
import { endEverything, removeCgroups, testName } from './clean.ts';
import {
  exitCode,
  openTerminal,
  PROJECT,
  type RunOptions,
  type RunResult,
  run,
  SLOWNESS,
  type Terminal,
} from './cli.ts';
import { compareSnapshots, LAUNCHER_CGROUPS, type Places, type Snapshot, takeSnapshot } from './leaks.ts';

/** What a host may be given. */
export interface HostOptions {
  /** Images that are imported under their fixture's name before the first look at the machine. */
  readonly images?: readonly FixtureName[];
  /** More arguments of mydockerd. */
  readonly serverArgs?: readonly string[];
  /** More environment of mydockerd. */
  readonly serverEnv?: Readonly<Record<string, string>>;
  /** The root folder, where it is to outlive the host. Default one below the host's temporary folder. */
  readonly root?: string;
  /** The state folder's path below the host's temporary folder. Default `state`. */
  readonly stateName?: string;
  /** Control group parent. Default one of this host alone. */
  readonly cgroupParent?: string;
  /** Lets `arm` set failpoints of a server that runs. Default false. */
  readonly armable?: boolean;
}

/** How long a server may take to listen, to stop, and to tidy up, in milliseconds. */
const READY_MS = 60_000 * SLOWNESS;
const STOP_MS = 60_000 * SLOWNESS;
const SETTLE_MS = 20_000 * SLOWNESS;

// What lies below root and state by right: metadata, content, and the server's own sockets and locks.
const KEPT_FILES =
  /^(root\/(meta|blobs|layers|checkpoint|lock)|state\/[^/]*\.(sock|lock|pid)$|state\/lock$|root\/[^/]*lock$)/;
const KEPT_PROCESSES = /^mydocker-(zygote|worker|unpack)/;
// What a server has started ahead is its own as long as it runs, and goes with it.
const KEPT_WHILE_RUNNING = /^mydocker-(zygote|worker|unpack|launcher)/;

/** A running server and everything needed to use and to check it. */
export class Host {
  /** Temporary folder of this host; TMPDIR of everything it starts. */
  readonly folder: string;
  readonly root: string;
  readonly state: string;
  /** Path of the server's socket. */
  readonly socket: string;
  /** The same as `--host` takes it. */
  readonly address: string;
  readonly cgroupParent: string;
  readonly #options: HostOptions;
  #server: ChildProcess | undefined;
  readonly #clients = new Set<ChildProcess | Terminal>();
  #clean: Snapshot | undefined;
  #api: Api | undefined;

  constructor(options: HostOptions) {
    this.#options = options;
    this.folder = mkdtempSync(`/tmp/${testName('')}`);
    this.root = options.root ?? join(this.folder, 'root');
    this.state = join(this.folder, options.stateName ?? 'state');
    this.socket = join(this.state, 'mydocker.sock');
    this.address = `unix://${this.socket}`;
    this.cgroupParent = options.cgroupParent ?? `/${basename(this.folder)}`;
    mkdirSync(join(this.folder, 'tmp'));
  }

  /** Process id of the server. @throws Error while there is none. */
  get serverPid(): number {
    if (this.#server?.pid === undefined) throw new Error('the server does not run');
    return this.#server.pid;
  }

  /** Everything the servers of this host wrote to standard error, in order. */
  get log(): string {
    const path = join(this.folder, 'mydockerd.log');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  /** Starts the server and waits until it listens. @throws Error with its log when it does not. */
  async start(
    more: { args?: readonly string[]; env?: Readonly<Record<string, string>> } = {},
  ): Promise<void> {
    assert.equal(this.#server, undefined, 'the server runs already');
    rmSync(this.#failpoints, { force: true });
    const log = openSync(join(this.folder, 'mydockerd.log'), 'a');
    const args = ['--root', this.root, '--state', this.state, '--listen', this.address];
    args.push(
      '--cgroup-parent',
      this.cgroupParent,
      ...(this.#options.serverArgs ?? []),
      ...(more.args ?? []),
    );
    const server = spawn(join(PROJECT, 'bin/mydockerd'), args, {
      stdio: ['ignore', log, log],
      env: {
        ...this.#environment(),
        ...(this.#options.armable ? { MYDOCKER_FAILPOINTS: `@${this.#failpoints}` } : {}),
        ...this.#options.serverEnv,
        ...more.env,
      },
    });
    closeSync(log);
    this.#server = server;
    server.once('exit', () => {
      if (this.#server === server) this.#server = undefined;
    });
    const until = Date.now() + READY_MS;
    while (!(await canConnect(this.socket))) {
      if (this.#server === undefined) throw new Error(`mydockerd ended at its start:\n${this.log}`);
      if (Date.now() > until) throw new Error(`mydockerd does not listen after ${READY_MS} ms:\n${this.log}`);
      await sleep(10);
    }
    await this.#api?.ready(until);
  }

  /** Asks the server to end, as an administrator does. Containers go on. @returns its exit status. */
  async stop(): Promise<number> {
    const server = this.#server;
    if (server === undefined) throw new Error('the server does not run');
    server.kill('SIGTERM');
    const late = setTimeout(() => server.kill('SIGKILL'), STOP_MS);
    const code = await exitCode(server);
    clearTimeout(late);
    assert.notEqual(code, 137, `mydockerd did not end ${STOP_MS} ms after SIGTERM:\n${this.log}`);
    return code;
  }

  /** Kills the server where it stands. */
  async kill9(): Promise<void> {
    const server = this.#server;
    server?.kill('SIGKILL');
    if (server !== undefined) await exitCode(server);
  }

  /**
   * Sets the failpoints of the server that runs, from the next one that it passes on; the next server has none of them.
   * @param failpoints - as MYDOCKER_FAILPOINTS has them; `''`: none.
   */
  arm(failpoints: string): void {
    assert.ok(this.#options.armable, 'the host is not armable');
    writeFileSync(`${this.#failpoints}.new`, failpoints);
    renameSync(`${this.#failpoints}.new`, this.#failpoints);
  }

  /** Stops the server and starts it again. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** The API over grpc-js, on a connection that opens with the first call and survives restarts of the server. */
  get api(): Api {
    this.#api ??= openApi(this.address);
    return this.#api;
  }

  /** Runs the client to its end; any exit status is a result. */
  cli(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return run(join(PROJECT, 'bin/mydocker'), args, {
      ...options,
      env: { ...this.#environment(), ...options.env },
    });
  }

  /** Runs the client, which must succeed. @returns its standard output without the last line's end. */
  async ok(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.cli(args, options);
    assert.equal(code, 0, `mydocker ${args.join(' ')}: exit status ${code}\n${stderr}${stdout}`);
    return stdout.replace(/\n$/, '');
  }

  /** Runs the client on a terminal. */
  terminal(args: readonly string[], size: { rows?: number; columns?: number } = {}): Terminal {
    const client = openTerminal(join(PROJECT, 'bin/mydocker'), args, { ...size, env: this.#environment() });
    this.#clients.add(client);
    return client;
  }

  /** Starts the client and does not wait: for tests that talk to it or kill it. */
  spawn(args: readonly string[]): ChildProcess {
    const client = spawn(join(PROJECT, 'bin/mydocker'), args, {
      stdio: 'pipe',
      env: { ...process.env, ...this.#environment() },
    });
    this.#clients.add(client);
    return client;
  }

  /** Ends the clients that a test started and, having failed, left: one that is stopped would hold the file for ever. */
  killClients(): void {
    for (const client of this.#clients) client.kill('SIGKILL');
  }

  /** Imports a fixture as an image of the same name. */
  async importFixture(name: FixtureName): Promise<void> {
    await this.ok(['import', await fixtureTar(name), name], { timeoutMs: 300_000 });
  }

  /** Takes the present state as the one that `assertClean` compares with. Done once by `startHost`. */
  remember(): void {
    this.#clean = takeSnapshot(this.#places());
  }

  /**
   * Waits until nothing is left of what ran since `remember`.
   * @param settleMs - how long what ends in the background may take; 20 s.
   * @throws AssertionError that names each mount, link, rule, control group, process and file.
   */
  async assertClean(settleMs: number = SETTLE_MS): Promise<void> {
    const clean = this.#clean;
    assert.ok(clean !== undefined, 'remember() was not called');
    const until = Date.now() + settleMs;
    for (;;) {
      const differences = compareSnapshots(clean, takeSnapshot(this.#places()));
      if (differences.length === 0) return;
      if (Date.now() > until) {
        assert.fail(`the host is not clean:\n  ${differences.join('\n  ')}\n${lastLines(this.log, 20)}`);
      }
      await sleep(50);
    }
  }

  /** Ends everything by force and removes the folders; safe after any failure. */
  async dispose(): Promise<void> {
    this.#api?.close();
    this.killClients();
    await this.kill9();
    await endEverything(this.cgroupParent, this.folder);
    removeCgroups(this.cgroupParent);
    rmSync(this.folder, { recursive: true, force: true });
  }

  get #failpoints(): string {
    return join(this.folder, 'failpoints');
  }

  #environment(): Record<string, string> {
    return { MYDOCKER_HOST: this.address, TMPDIR: join(this.folder, 'tmp') };
  }

  #places(): Places {
    return {
      cgroupParent: this.cgroupParent,
      folders: { root: this.root, state: this.state, tmp: join(this.folder, 'tmp') },
      ignoredFiles: KEPT_FILES,
      ...(this.#server?.pid === undefined
        ? { pids: [], ignoredProcesses: KEPT_PROCESSES }
        : {
            pids: [this.#server.pid],
            ignoredProcesses: KEPT_WHILE_RUNNING,
            ignoredCgroups: LAUNCHER_CGROUPS,
          }),
    };
  }
}

const lastLines = (text: string, count: number): string => text.split('\n').slice(-count).join('\n');

/** Through the folder's descriptor, because a socket's path has 108 bytes and a test may need a longer one. */
async function canConnect(path: string): Promise<boolean> {
  let folder: number;
  try {
    folder = openSync(dirname(path), 'r');
  } catch {
    return false;
  }
  try {
    return await new Promise((resolve) => {
      const socket = connect(`/proc/self/fd/${folder}/${basename(path)}`);
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('close', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
  } finally {
    closeSync(folder);
  }
}

/** Makes a host, starts its server, imports the images and remembers the state. */
export async function startHost(options: HostOptions = {}): Promise<Host> {
  const host = new Host(options);
  try {
    await host.start();
    for (const name of options.images ?? []) await host.importFixture(name);
    host.remember();
    return host;
  } catch (error) {
    await host.dispose();
    throw error;
  }
}

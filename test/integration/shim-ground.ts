/**
 * Launches containers from plans alone, without a server: the ground on which the C program is tested as a
 * black box. Importing this file moves the test process into namespaces of its own (test/harness/enter.ts), so
 * that every process, mount and link there belongs to the test.
 */
import '../harness/enter.ts';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pidfdOpen } from '../../native/pidfd.ts';
import { SOCKET_TYPE, socketPair } from '../../native/socket.ts';
import { planCgroup, planCgroupExec } from '../../server/cgroup/cgroup-plan.ts';
import { type CgroupLayout, cgroupMounts, readCgroupLayout } from '../../server/cgroup/layout.ts';
import { prepareCgroupParent } from '../../server/cgroup/parent.ts';
import type { ContainerConfig } from '../../server/model/container.ts';
import { newRunId } from '../../server/model/ids.ts';
import { type Op, type Plan, type Slot, slotAllocator } from '../../server/model/plan.ts';
import type { Credentials } from '../../server/model/user-spec.ts';
import { LOOPBACK_ONLY } from '../../server/network/veth.ts';
import { buildExecProcess, buildSpec, type ExecChoice } from '../../server/spec/build-spec.ts';
import { type HostFacts, readHostFacts } from '../../server/spec/defaults.ts';
import { EXEC_INHERITED, planExecProcess } from '../../server/spec/exec-plan.ts';
import { planLaunch } from '../../server/spec/launch-plan.ts';
import { encodePlan } from '../../server/spec/plan-codec.ts';
import type { Rootfs } from '../../server/spec/rootfs-plan.ts';
import { planWorker, type WorkerPlanInput } from '../../server/spec/worker-plan.ts';
import { AttachConnection, type AttachOptions } from '../../server/task/attach-connection.ts';
import type { RawChunk } from '../../server/task/log-record.ts';
import { formatRunHead } from '../../server/task/run-files.ts';
import type { ShimConnection } from '../../server/task/shim-connection.ts';
import { REQUEST } from '../../server/task/shim-protocol.ts';
import { connectInFolder, socketOf } from '../../server/task/shim-sockets.ts';
import { Zygote } from '../../server/task/zygote.ts';
import { fixtureTar } from '../fixtures/images.ts';
import { endEverything, removeCgroups, testName } from '../harness/clean.ts';
import { PROJECT, SLOWNESS } from '../harness/cli.ts';
import { listCgroups, listMounts, listProcesses } from '../harness/leaks.ts';

/** What a test may change of a container. */
export interface RunChoice {
  /** Of a launcher's groups. */
  readonly waiting?: string;
  readonly config?: Partial<ContainerConfig>;
  readonly user?: Credentials;
  readonly rootfs?: Rootfs;
  /** Size at which the next log file begins; 0n: never. */
  readonly logMaxBytes?: bigint;
  readonly logMaxFiles?: number;
  /** Changes the plan before it is encoded. */
  readonly change?: (plan: Plan) => Plan;
}

/** A plan and the places that it makes things in. */
export interface Prepared {
  readonly plan: Plan;
  readonly runId: string;
  readonly runFolder: string;
  readonly logsFolder: string;
  readonly cgroupPath: string;
}

/** A container that was launched. */
export interface Launched extends Prepared {
  readonly connection: ShimConnection;
}

/** An additional process that was launched, with its stdio. */
export interface Executed {
  readonly plan: Plan;
  readonly runFolder: string;
  readonly connection: ShimConnection;
  readonly stdio: AttachConnection;
}

/** What is left of runs, by kind; all of it is empty on a clean ground. */
export interface Leftovers {
  readonly processes: readonly string[];
  readonly mounts: readonly string[];
  readonly cgroups: readonly string[];
  readonly files: readonly string[];
  readonly descriptors: readonly string[];
}

/** The shim to test: the one that is shipped, or one built with sanitizers. */
export const SHIM_PROGRAM: string = process.env['MYDOCKER_TEST_SHIM'] ?? join(PROJECT, 'build/mydocker-shim');
export const IS_SANITIZED: boolean = process.env['MYDOCKER_TEST_SHIM'] !== undefined;

const ROOT: Credentials = { uid: 0, gid: 0, groups: [0], home: '/root' };
export const USER: Credentials = { uid: 1000, gid: 1000, groups: [1000, 50], home: '/home/user' };

const CONFIG: ContainerConfig = {
  rootfs: { kind: 'directory', path: '/' },
  args: ['true'],
  env: [],
  workingDir: '/',
  user: '',
  hostname: 'web',
  terminal: false,
  openStdin: false,
  mounts: [],
  network: 'none',
  readOnlyRootfs: false,
  resources: {},
  stopSignal: 15,
  stopTimeoutMs: 10_000,
  autoRemove: false,
  labels: {},
};

/** How long the end of something may take before a test fails, in milliseconds. */
const SETTLE_MS = 20_000 * SLOWNESS;

/** Waits until a condition holds. @throws AssertionError after 5 s. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const end = Date.now() + SETTLE_MS;
  while (!condition()) {
    if (Date.now() > end) assert.fail(`after ${SETTLE_MS} ms: ${what}`);
    await sleep(2);
  }
}

/** Everything that a process wrote, by stream. */
export async function collect(output: AsyncIterable<RawChunk>): Promise<{ stdout: Buffer; stderr: Buffer }> {
  const parts: Record<RawChunk['stream'], Buffer[]> = { stdout: [], stderr: [] };
  for await (const { stream, data } of output) parts[stream].push(Buffer.from(data));
  return { stdout: Buffer.concat(parts.stdout), stderr: Buffer.concat(parts.stderr) };
}

const descriptorsOf = (pid: number | 'self'): string[] =>
  readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
    try {
      return [`${name} ${readlinkSync(`/proc/${pid}/fd/${name}`)}`];
    } catch {
      return []; // the one that lists them
    }
  });

export class ShimGround {
  /** Temporary folder of this ground. */
  readonly folder: string;
  /** As a server's state folder. */
  readonly state: string;
  /** A busybox tree. */
  readonly rootfs: string;
  readonly layout: CgroupLayout;
  readonly cgroupParent: string;
  readonly host: HostFacts;
  readonly zygote: Zygote;
  #clean: Leftovers | undefined;

  private constructor(stateName: string) {
    this.folder = mkdtempSync(`/tmp/${testName('')}`);
    this.state = join(this.folder, stateName);
    this.rootfs = join(this.folder, 'rootfs');
    this.layout = readCgroupLayout();
    this.cgroupParent = `/${basename(this.folder)}`;
    this.host = readHostFacts();
    for (const path of ['shims', 'mount/root', 'mount/etc'])
      mkdirSync(join(this.state, path), { recursive: true });
    mkdirSync(this.rootfs);
    this.zygote = this.newZygote();
  }

  /** @param stateName - path of the state folder below the ground's own. */
  static async make(stateName = 'state'): Promise<ShimGround> {
    const ground = new ShimGround(stateName);
    try {
      execFileSync('tar', ['-xf', await fixtureTar('busybox'), '-C', ground.rootfs]);
      prepareCgroupParent(ground.layout, ground.cgroupParent);
      // The zygote and Node's own descriptors are there from the first launch on.
      const { connection } = ground.start({});
      await connection.exited;
      connection.close();
      ground.removeRuns();
      await sleep(20);
      ground.remember();
      return ground;
    } catch (error) {
      await ground.dispose();
      throw error;
    }
  }

  /** Takes the present state for the clean one. */
  remember(): void {
    this.#clean = this.#look();
  }

  newZygote(program: string = SHIM_PROGRAM): Zygote {
    return new Zygote({
      program,
      title: `mydocker-zygote ${this.state}`,
      titleLength: `mydocker-shim ${this.state}/shims/0123456789abcdef`.length,
    });
  }

  config(changes: Partial<ContainerConfig> = {}): ContainerConfig {
    return { ...CONFIG, ...changes };
  }

  /** A container's launch plan, as the server makes it. */
  prepare(choice: RunChoice): Prepared {
    const runId = newRunId();
    const slots = slotAllocator(0);
    const take = (count: number): Slot[] => Array.from({ length: count }, () => slots.take());
    const config = this.config(choice.config);
    const cgroupPath = `${this.cgroupParent}/${runId}`;
    const runFolder = join(this.state, 'shims', runId);
    const logsFolder = join(this.folder, 'logs', runId);
    mkdirSync(logsFolder, { recursive: true });
    const plan = planLaunch(
      {
        spec: buildSpec(config, choice.user ?? ROOT, cgroupPath, this.host),
        place: {
          head: this.head(runId, 'init', config.terminal),
          runFolder,
          logsFolder,
          logSerial: 1,
          logMaxFiles: choice.logMaxFiles ?? 0,
          logMaxBytes: choice.logMaxBytes ?? 0n,
        },
        rootfs: {
          rootfs: choice.rootfs ?? { kind: 'directory', path: this.rootfs },
          mountPoint: join(this.state, 'mount/root'),
          filesPoint: join(this.state, 'mount/etc'),
          etcFiles: [
            ['hosts', '127.0.0.1 localhost\n'],
            ['hostname', `${config.hostname}\n`],
          ],
          fileSources: new Set(),
          cgroupMounts: cgroupMounts(this.layout),
        },
        maskedFolders: this.host.maskedFolders,
        openStdin: config.openStdin,
        init: config.init === true,
        joins: {},
        memory: [],
        maps: [],
        terminalSize: { rows: 24, columns: 80 },
        cgroup: planCgroup(
          { layout: this.layout, path: cgroupPath, waiting: choice.waiting },
          config.resources,
          take,
        ),
        network: LOOPBACK_ONLY,
        sys: slots.take(),
      },
      slots,
    );
    return { plan: choice.change?.(plan) ?? plan, runId, runFolder, logsFolder, cgroupPath };
  }

  head(runId: string, kind: 'init' | 'exec', terminal: boolean): string {
    return formatRunHead({
      containerId: 'c'.repeat(64),
      runId,
      bootId: '01234567-89ab-cdef-0123-456789abcdef',
      kind,
      terminal,
      logSerial: kind === 'init' ? 1 : 0,
      logOffset: 0,
    });
  }

  /** Launches and does not commit. */
  launch(choice: RunChoice, zygote: Zygote = this.zygote): Launched {
    const prepared = this.prepare(choice);
    return { ...prepared, connection: zygote.launch(encodePlan(prepared.plan), []) };
  }

  /** Launches and commits; the process starts at once. */
  start(choice: RunChoice, zygote?: Zygote): Launched {
    const launched = this.launch(choice, zygote);
    launched.connection.commit(true);
    return launched;
  }

  /** Runs a shell command to its end. @returns its exit status and what it wrote, read from the log by attach. */
  async shell(
    script: string,
    choice: RunChoice = {},
  ): Promise<{ code: number; stdout: string; stderr: string }> {
    const launched = this.launch({ ...choice, config: { args: ['sh', '-c', script], ...choice.config } });
    launched.connection.commit(false);
    await launched.connection.created;
    const attached = await this.attach(launched);
    launched.connection.commit(true);
    const { stdout, stderr } = await collect(attached.output());
    const { exitStatus } = await launched.connection.exited;
    launched.connection.close();
    return { code: exitStatus, stdout: stdout.toString(), stderr: stderr.toString() };
  }

  async attach(
    { runFolder, logsFolder }: Pick<Launched, 'runFolder' | 'logsFolder'>,
    options: Partial<AttachOptions> = {},
  ): Promise<AttachConnection> {
    return new AttachConnection(await connectInFolder(runFolder, 'attach'), {
      stdin: false,
      stdout: true,
      stderr: true,
      stdinOnce: false,
      logsFolder,
      // A shim may see the first output before it sees the client.
      replayFrom: { serial: 1, offset: 0 },
      ...options,
    });
  }

  /** The plan of an additional process of a container that runs. */
  prepareExec(
    container: Prepared,
    choice: Partial<ExecChoice> & { openStdin?: boolean; credentials?: Credentials },
  ): { plan: Plan; runFolder: string } {
    const runId = newRunId();
    const runFolder = join(this.state, 'shims', runId);
    const slots = slotAllocator(EXEC_INHERITED);
    const take = (count: number): Slot[] => Array.from({ length: count }, () => slots.take());
    const asked: ExecChoice = { args: ['true'], env: [], terminal: false, ...choice };
    const plan = planExecProcess(
      {
        process: buildExecProcess(this.config(), asked, this.host, () => choice.credentials ?? ROOT),
        place: {
          head: this.head(runId, 'exec', asked.terminal),
          runFolder,
          logSerial: 0,
          logMaxFiles: 0,
          logMaxBytes: 0n,
        },
        openStdin: choice.openStdin ?? false,
        terminalSize: { rows: 24, columns: 80 },
        cgroup: planCgroupExec({ layout: this.layout, path: container.cgroupPath }, take),
      },
      slots,
    );
    return { plan, runFolder };
  }

  /** Launches an additional process; not committed. */
  async launchExec(
    container: Launched,
    { plan, runFolder }: { plan: Plan; runFolder: string },
  ): Promise<Executed> {
    const pidfd = pidfdOpen((await container.connection.created).pid);
    const [ours, theirs] = socketPair(SOCKET_TYPE.stream);
    try {
      const connection = this.zygote.launch(encodePlan(plan), [pidfd, theirs]);
      const stdio = new AttachConnection(socketOf(ours), {
        stdin: plan.hold?.stdin !== undefined || plan.hold?.terminal === true,
        stdout: true,
        stderr: true,
        stdinOnce: true,
      });
      return { plan, runFolder, connection, stdio };
    } finally {
      closeSync(pidfd);
      closeSync(theirs);
    }
  }

  /** Launches and commits an additional process. */
  async exec(
    container: Launched,
    choice: Partial<ExecChoice> & { openStdin?: boolean; credentials?: Credentials },
  ): Promise<Executed> {
    const executed = await this.launchExec(container, this.prepareExec(container, choice));
    executed.connection.commit(true);
    return executed;
  }

  /** The plan of a worker whose folder is the ground's; the descriptors fill the first slots. */
  prepareWorker(changes: Partial<WorkerPlanInput> & { descriptorCount: number }): Plan {
    const slots = slotAllocator(changes.descriptorCount);
    const take = (count: number): Slot[] => Array.from({ length: count }, () => slots.take());
    const path = `${this.cgroupParent}/worker-${newRunId()}`;
    return planWorker(
      {
        name: 'test',
        args: ['/bin/busybox', 'true'],
        env: [],
        descriptors: [],
        folder: { path: this.rootfs, descriptor: 3 },
        readOnlyBinds: [{ path: '/bin/busybox', isFolder: false }],
        capabilities: ['DAC_OVERRIDE'],
        cgroup: planCgroup({ layout: this.layout, path }, {}, take),
        mountPoint: join(this.state, 'mount/root'),
        ...changes,
      },
      slots,
    );
  }

  /** Waits until nothing is left of any run: no process, mount, cgroup, descriptor, and no file in a run folder. */
  async assertNothingLeft(what = ''): Promise<void> {
    const end = Date.now() + SETTLE_MS;
    for (;;) {
      const differences = this.#differences();
      if (differences.length === 0) return;
      if (Date.now() > end) {
        // Said once; the next test is judged by what it leaves itself.
        this.remember();
        assert.fail(`left behind ${what}:\n  ${differences.join('\n  ')}`);
      }
      await sleep(2);
    }
  }

  /** What the server does when a run is over: its folder goes. */
  removeRuns(): void {
    const runs = join(this.state, 'shims');
    // Where a shim takes names away at the same time, it stops without a word.
    while (existsSync(runs)) rmSync(runs, { recursive: true, force: true });
    mkdirSync(runs);
    rmSync(join(this.folder, 'logs'), { recursive: true, force: true });
  }

  async dispose(): Promise<void> {
    this.zygote.close();
    await endEverything(this.cgroupParent, this.folder);
    removeCgroups(this.cgroupParent);
    rmSync(this.folder, { recursive: true, force: true });
    assert.ok(!existsSync(this.folder));
  }

  #differences(): string[] {
    const clean = this.#clean;
    if (clean === undefined) return [];
    const now = this.#look();
    return (Object.keys(now) as (keyof Leftovers)[]).flatMap((kind) =>
      now[kind].filter((name) => !clean[kind].includes(name)).map((name) => `${kind}: ${name}`),
    );
  }

  #look(): Leftovers {
    const own = new Set([process.pid, process.ppid, 1]);
    return {
      processes: listProcesses()
        .filter(({ pid, command }) => !own.has(pid) && !command.startsWith('mydocker-zygote'))
        .map(({ pid, command, state }) => `${pid} ${command} ${state}`),
      mounts: listMounts('self'),
      cgroups: listCgroups(this.cgroupParent),
      files: readdirSync(join(this.state, 'shims')),
      descriptors: descriptorsOf('self'),
    };
  }
}

/** A container that does nothing until it is ended. */
export const SLEEP: RunChoice = { config: { args: ['sleep', '1000'] } };

/** Kills what runs, and waits for the end. */
export async function end({ connection }: Pick<Launched, 'connection'>): Promise<void> {
  await connection.request(REQUEST.signal, constants.signals.SIGKILL);
  await connection.exited;
  connection.close();
}

/** A plan with one operation of a section changed. */
export function withOp(plan: Plan, section: keyof Plan['sections'], index: number, op: Op): Plan {
  return { ...plan, sections: { ...plan.sections, [section]: plan.sections[section].with(index, op) } };
}

/** A plan with more operations at a place in a section. */
export function withOps(plan: Plan, section: keyof Plan['sections'], index: number, ...ops: Op[]): Plan {
  return {
    ...plan,
    sections: { ...plan.sections, [section]: plan.sections[section].toSpliced(index, 0, ...ops) },
  };
}

/**
 * What the tests of deaths and failures share: short ways to make, look at and end containers over the API, a
 * server that dies where it is told to, and the rules that hold whatever happened.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Container } from '../../proto/gen/mydocker/v1/containers.ts';
import { type Exit, ExitReason, TaskStatus } from '../../proto/gen/mydocker/v1/types.ts';
import { FAILPOINTS } from '../../server/failpoint.ts';
import { type Api, openApi } from '../harness/api.ts';
import { SLOWNESS } from '../harness/cli.ts';
import type { Host } from '../harness/host.ts';
import { listCgroups, listProcesses } from '../harness/leaks.ts';
import { until } from './ground.ts';

const connections = new WeakMap<Host, { pid: number; api: Api }>();

/** A connection to the server that runs now: one that saw a server die would wait before it tries again. */
export function api(host: Host): Api {
  const now = connections.get(host);
  if (now?.pid === host.serverPid) return now.api;
  now?.api.close();
  const opened = { pid: host.serverPid, api: openApi(host.address) };
  connections.set(host, opened);
  return opened.api;
}

/** Ends what a test file used. */
export async function dispose(host: Host): Promise<void> {
  connections.get(host)?.api.close();
  await host.dispose();
}

export interface Wanted {
  readonly name?: string;
  readonly autoRemove?: boolean;
  readonly memoryLimitBytes?: bigint;
  readonly stdin?: boolean;
}

/** Records a container that runs a shell script. @returns its id. */
export async function create(host: Host, script: string, wanted: Wanted = {}): Promise<string> {
  const { name = '', autoRemove = false, memoryLimitBytes, stdin = false } = wanted;
  const { id } = await api(host).containers.createContainer({
    name,
    config: {
      rootfs: { $case: 'image', value: 'busybox' },
      command: { values: ['sh', '-c', script] },
      autoRemove,
      openStdin: stdin,
      ...(memoryLimitBytes === undefined ? {} : { resources: { memoryLimitBytes } }),
    },
  });
  return id;
}

/** As long as it is not killed. */
export const FOREVER = 'while :; do sleep 1000; done';

export async function start(host: Host, container: string): Promise<void> {
  await api(host).tasks.startTask({ container });
}

/** Records and starts. @returns the id. */
export async function run(host: Host, script: string, wanted: Wanted = {}): Promise<string> {
  const id = await create(host, script, wanted);
  await start(host, id);
  return id;
}

export async function kill(host: Host, container: string, signal = 'KILL'): Promise<void> {
  await api(host).tasks.killTask({ container, signal });
}

/** Waits for the end of what runs, else says how the last run ended. */
export async function wait(host: Host, container: string): Promise<Exit> {
  const { exit } = await api(host).tasks.waitTask({ container });
  assert.ok(exit !== undefined, 'it never ran');
  return exit;
}

export async function remove(host: Host, container: string, force = true): Promise<void> {
  await api(host).containers.removeContainer({ container, force });
}

/** @returns undefined when there is none. */
export async function look(host: Host, container: string): Promise<Container | undefined> {
  try {
    return (await api(host).containers.getContainer({ container })).container;
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') return undefined;
    throw error;
  }
}

const STATUS_NAMES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(TaskStatus).map(([name, value]) => [value, name.toLowerCase()]),
);

/** `gone` when there is none. */
export async function statusOf(host: Host, container: string): Promise<string> {
  const found = await look(host, container);
  return found === undefined ? 'gone' : (STATUS_NAMES[found.status] ?? '');
}

const REASON_NAMES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(ExitReason).map(([name, value]) => [value, name.toLowerCase()]),
);

/** What tests compare of an end. */
export function told(exit: Exit | undefined): string {
  if (exit === undefined) return 'no exit';
  const oom = exit.oomKilled ? ' oom' : '';
  return `${REASON_NAMES[exit.reason]} ${exit.exitStatus} signal ${exit.signal}${oom}`;
}

/** Name of an error's gRPC code. */
export function codeOf(error: unknown): string {
  const { code } = error as { code?: number };
  return CODES[code ?? -1] ?? String(error);
}

const CODES: Readonly<Record<number, string>> = {
  1: 'CANCELLED',
  3: 'INVALID_ARGUMENT',
  4: 'DEADLINE_EXCEEDED',
  5: 'NOT_FOUND',
  6: 'ALREADY_EXISTS',
  8: 'RESOURCE_EXHAUSTED',
  9: 'FAILED_PRECONDITION',
  10: 'ABORTED',
  13: 'INTERNAL',
  14: 'UNAVAILABLE',
};

/** All containers there are. */
export async function list(
  host: Host,
): Promise<{ id: string; name: string; status: string; runId: string }[]> {
  const all: { id: string; name: string; status: string; runId: string }[] = [];
  for await (const page of api(host).containers.listContainers({}))
    for (const { id, name, status, runId } of page.containers)
      all.push({ id, name, status: STATUS_NAMES[status] ?? '', runId });
  return all;
}

export async function removeAll(host: Host): Promise<void> {
  await Promise.all((await list(host)).map(({ id }) => remove(host, id).catch(ignoreGone)));
}

/**
 * After each test: what is known goes, so that one failure is not the next one's, and nothing unknown is left.
 */
export async function checkClean(host: Host): Promise<void> {
  if (!isServing(host)) await host.start();
  await removeAll(host);
  await host.assertClean();
}

function ignoreGone(error: unknown): void {
  if (codeOf(error) !== 'NOT_FOUND') throw error;
}

/** Points of an operation, in the order in which it passes them. */
export const pointsOf = (operation: string): string[] =>
  FAILPOINTS.filter((name) => name.startsWith(`${operation}.`));

/** Starts the server with failpoints. */
export async function startWith(host: Host, failpoints: string): Promise<void> {
  await host.start({ env: { MYDOCKER_FAILPOINTS: failpoints } });
}

/** Stops the server and starts it with failpoints. */
export async function restartWith(host: Host, failpoints: string): Promise<void> {
  await host.stop();
  await startWith(host, failpoints);
}

export function isServing(host: Host): boolean {
  try {
    return host.serverPid > 0;
  } catch {
    return false;
  }
}

/** The server must die by itself. */
export async function untilDead(host: Host): Promise<void> {
  await until(
    () => isServing(host),
    (serving) => !serving,
  );
}

/** Pid of the shim of a container's present run. */
export async function shimOf(host: Host, container: string): Promise<number> {
  const pid = (await look(host, container))?.run?.shimPid ?? 0;
  assert.ok(pid > 0, `container ${container} has no shim`);
  return pid;
}

/** Processes by the beginning of their title, of this host only. */
export function pidsTitled(host: Host, title: string): number[] {
  return listProcesses()
    .filter(({ command, state }) => state !== 'Z' && command.startsWith(`${title} ${host.state}`))
    .map(({ pid }) => pid);
}

/** A shim that has told its server that a launcher waits beside it. */
function isParked(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8') === 'mydocker-parked\n';
  } catch {
    return false; // it has ended
  }
}

/** Waits until as many launchers wait as are to. @returns the processes: of each a shim and the launcher itself. */
export async function launchersWait(host: Host, count = 1): Promise<number[]> {
  const all = await until(
    () => pidsTitled(host, 'mydocker-launcher'),
    (pids) => pids.length === 2 * count && pids.filter(isParked).length === count,
  );
  // Its answer comes behind what the server had been told before.
  await api(host).system.ping({});
  return all;
}

/** A server that has started something has a launcher, and something open for it, so one waits before that is counted. */
export async function launcherWaits(host: Host): Promise<void> {
  await run(host, 'exit 0', { autoRemove: true });
  await launchersWait(host);
}

/** Stops the zygote, so that the next start that needs one waits for it. @returns its pid. */
export async function stopZygote(host: Host): Promise<number> {
  await launcherWaits(host);
  const [zygote = 0] = pidsTitled(host, 'mydocker-zygote');
  process.kill(zygote, 'SIGSTOP');
  // The launcher that waits does without the zygote.
  await run(host, 'exit 0', { autoRemove: true });
  return zygote;
}

export const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

/** Open descriptors of a process, by what they are; of inotify, which Node opens once, its watches. */
export function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      const what = readlinkSync(`/proc/${pid}/fd/${fd}`);
      if (what !== 'anon_inode:inotify') return [what];
      return readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8').match(/^inotify wd/gm) ?? [];
    } catch {
      return []; // the one that lists
    }
  });
}

/** Of the server, while a launcher waits, as one does again when everything has settled. */
export async function serverDescriptors(host: Host): Promise<string[]> {
  await launcherWaits(host);
  return descriptorsOf(host.serverPid);
}

const kindOf = (descriptor: string): string => descriptor.replace(/:\[\d+\]$/, '');

/** What a process has open must come back to what it was; LevelDB opens and closes its files as it likes. */
export async function settles(pid: number, before: readonly string[]): Promise<void> {
  const more = (): string[] => {
    const left = before.map(kindOf);
    return descriptorsOf(pid).filter((descriptor) => {
      if (descriptor.includes('/root/meta/')) return false;
      const at = left.indexOf(kindOf(descriptor));
      if (at >= 0) left.splice(at, 1);
      return at < 0;
    });
  };
  await until(more, (extra) => extra.length === 0);
}

/** Breaches of what holds at every moment of rest. */
async function breaches(host: Host): Promise<string[]> {
  const all = await list(host);
  const found: string[] = [];
  const same = (what: string, is: readonly string[], shouldBe: readonly string[]): void => {
    const [a, b] = [is.toSorted().join(' '), shouldBe.toSorted().join(' ')];
    if (a !== b) found.push(`${what}: ${a || 'none'}; by right: ${b || 'none'}`);
  };
  const alive = all.filter(({ status }) => status === 'running' || status === 'paused');
  const illegal = all.filter(({ status }) => !['created', 'running', 'paused', 'stopped'].includes(status));
  for (const { name, status } of illegal) found.push(`container ${name} is ${status}`);
  const ids = all.map(({ id }) => id);
  same('folders of containers', readdirSync(join(host.root, 'containers')), ids);
  same(
    'names',
    [...new Set(all.map(({ name }) => name))],
    all.map(({ name }) => name),
  );
  const cgroups = listCgroups(host.cgroupParent).map((path) => path.split(`${host.cgroupParent}/`)[1] ?? '');
  same(
    'control groups',
    // A launcher that waits is the server's.
    [...new Set(cgroups.filter((path) => !path.includes('/') && !path.startsWith('launcher-')))],
    alive.map(({ id }) => id),
  );
  const runs = alive.map(({ runId }) => runId);
  same('run folders', readdirSync(join(host.state, 'shims')), runs);
  const shims = listProcesses().filter(({ command }) => command.startsWith(`mydocker-shim ${host.state}`));
  same(
    'shims',
    shims.map(({ command }) => command.split('/').at(-1) ?? ''),
    runs,
  );
  return found;
}

/** Names, folders, control groups, run folders and shims belong together, once everything has settled. */
export async function checkRules(host: Host): Promise<void> {
  const end = Date.now() + 60_000 * SLOWNESS;
  for (;;) {
    const found = await breaches(host);
    if (found.length === 0) return;
    if (Date.now() > end) assert.fail(`rules are broken:\n  ${found.join('\n  ')}\n${host.log.slice(-3000)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

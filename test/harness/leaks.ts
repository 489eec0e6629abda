/**
 * What a machine holds that a container could leave behind: mounts, links, rules, control groups, processes,
 * files. Taken before and after, compared by name, so that a test which passes but leaks fails.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** One look at the machine: in each category the sorted names of what is there. */
export type Snapshot = Readonly<Record<string, readonly string[]>>;

/** Where to look. */
export interface Places {
  /** Control group below which everything is ours, such as `/mydocker-test-ab12-1`. */
  readonly cgroupParent: string;
  /** Folders of which each file counts. */
  readonly folders: Readonly<Record<string, string>>;
  /** Processes that are there by right, and whose mount table counts beside our own. */
  readonly pids: readonly number[];
  /** Paths below `folders` that may come and go, tested from the folder's name on: `root/meta/000005.ldb`. */
  readonly ignoredFiles: RegExp;
  /** Control groups that may come and go; absent: none. */
  readonly ignoredCgroups?: RegExp;
  /** Command lines that may come and go. */
  readonly ignoredProcesses: RegExp;
}

const ignoreGone = <T>(read: () => T, otherwise: T): T => {
  try {
    return read();
  } catch {
    return otherwise; // it ended while we looked
  }
};

/** Mount points of a process with what is mounted there; without the ids, which differ each time. */
export function listMounts(pid: number | 'self'): string[] {
  const table = ignoreGone(() => readFileSync(`/proc/${pid}/mountinfo`, 'utf8'), '');
  return table
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [before = '', after = ''] = line.split(' - ');
      return `${before.split(' ')[4]} ${after.split(' ')[0]}`;
    });
}

/** Where control groups are mounted: one folder on v2, one for each hierarchy on v1. */
export function cgroupMounts(): string[] {
  return listMounts('self')
    .filter((mount) => / cgroup2?$/.test(mount))
    .map((mount) => mount.split(' ')[0] ?? '');
}

const folders = (path: string): string[] =>
  ignoreGone(() => readdirSync(path, { withFileTypes: true }), [])
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(path, entry.name));

/** Every control group below the parent, in each hierarchy, the parent itself left out. */
export function listCgroups(parent: string): string[] {
  const below = (path: string): string[] => folders(path).flatMap((path) => [path, ...below(path)]);
  return cgroupMounts().flatMap((mount) => below(join(mount, parent)));
}

/** What a launcher waits in: a server's own as long as it runs. */
export const LAUNCHER_CGROUPS: RegExp = /\/launcher-[0-9a-f]{16}$/;

/** A process of this pid namespace. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  /** R, S, Z and so on, as in proc(5). */
  readonly state: string;
  readonly command: string;
}

/** All processes that this one can see. */
export function listProcesses(): ProcessEntry[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) =>
      ignoreGone(() => {
        // pid (name) state parent ...; the name may hold anything, even brackets
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        const [state = '', parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        const named = command === '' ? stat.slice(stat.indexOf('('), stat.lastIndexOf(')') + 1) : command;
        return [{ pid: Number(name), parent: Number(parent), state, command: named }];
      }, []),
    );
}

/** This process, the ones above it, and what the test runner itself started. */
function ownChain(all: readonly ProcessEntry[]): Set<number> {
  const byPid = new Map(all.map((entry) => [entry.pid, entry]));
  const chain = new Set<number>();
  for (let pid = process.pid; pid > 0 && !chain.has(pid); pid = byPid.get(pid)?.parent ?? 0) chain.add(pid);
  return chain;
}

const listFiles = (path: string, name: string): string[] =>
  ignoreGone(() => readdirSync(path, { withFileTypes: true }), []).flatMap((entry) => [
    `${name}/${entry.name}`,
    ...(entry.isDirectory() ? listFiles(join(path, entry.name), `${name}/${entry.name}`) : []),
  ]);

const output = (command: string, args: readonly string[]): string =>
  spawnSync(command, args, { encoding: 'utf8' }).stdout ?? '';

/** A server's own bridge and tables: made with its first container in a network, and kept. */
const KEPT_BRIDGE = /^mydocker(?:0|-[0-9a-f]{6})$/;
const KEPT_TABLE = /^table (?:inet|bridge) mydocker_[0-9a-f]{8} \{[\s\S]*?^\}\n?/gm;

/** The names of all links of this network namespace, but for servers' own bridges. */
export function listLinks(): string[] {
  const text = output('ip', ['-json', 'link', 'show']);
  const links: unknown = text === '' ? [] : JSON.parse(text);
  return Array.isArray(links)
    ? links.map((link: { ifname: string }) => link.ifname).filter((name) => !KEPT_BRIDGE.test(name))
    : [];
}

/** The rules of this network namespace, a line each, but for servers' own tables. Counters are left out: they move. */
export function listRules(): string[] {
  return output('nft', ['--stateless', 'list', 'ruleset'])
    .replaceAll(KEPT_TABLE, '')
    .split('\n')
    .filter((line) => line.trim() !== '');
}

/** Looks at the machine. Takes a few milliseconds, most of them for `ip` and `nft`. */
export function takeSnapshot(places: Places): Snapshot {
  const all = listProcesses();
  const own = ownChain(all);
  const mounts = new Set(
    ['self' as const, ...places.pids].flatMap((pid) => {
      // the same namespace is the same table
      const same = pid !== 'self' && sameNamespace(pid);
      return same ? [] : listMounts(pid).map((mount) => (pid === 'self' ? mount : `${mount} (server)`));
    }),
  );
  return {
    mounts: [...mounts].sort(),
    links: listLinks().sort(),
    rules: listRules(),
    cgroups: listCgroups(places.cgroupParent)
      .filter((path) => !places.ignoredCgroups?.test(path))
      .sort(),
    processes: all
      .filter(({ pid, command }) => !own.has(pid) && !places.ignoredProcesses.test(command))
      // the server may have been started again since
      .filter(({ pid }) => !places.pids.includes(pid))
      // `ip` and `nft` are ours and may still be seen as they end
      .filter(({ parent, state }) => !(parent === process.pid && state === 'Z'))
      .map(({ pid, state, command }) => `${pid} ${command}${state === 'Z' ? ' zombie' : ''}`)
      .sort(),
    files: Object.entries(places.folders)
      .flatMap(([name, path]) => listFiles(path, name))
      .filter((path) => !places.ignoredFiles.test(path))
      .sort(),
  };
}

const sameNamespace = (pid: number): boolean =>
  ignoreGone(() => readlinkSync(`/proc/${pid}/ns/mnt`) === readlinkSync('/proc/self/ns/mnt'), true);

/** What the second look shows and the first did not, and the reverse; a line each, empty when equal. */
export function compareSnapshots(before: Snapshot, after: Snapshot): string[] {
  return Object.keys(before).flatMap((category) => {
    const was = new Set(before[category]);
    const is = new Set(after[category]);
    return [
      ...[...is].filter((name) => !was.has(name)).map((name) => `${category}: left behind: ${name}`),
      ...[...was].filter((name) => !is.has(name)).map((name) => `${category}: gone: ${name}`),
    ];
  });
}

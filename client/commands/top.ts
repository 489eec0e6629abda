/** `mydocker top`: the processes of a container, in the columns of `ps -ef` or those that are asked for. */
import type { TaskProcess } from '../../proto/gen/mydocker/v1/tasks.ts';
import { listTaskProcesses } from '../api/tasks.ts';
import type { Action } from '../grammar/command.ts';
import type { NO_OPTIONS } from '../grammar/command-options.ts';
import { print } from '../output.ts';
import { renderTable } from '../render/table.ts';
import { UsageError } from '../usage-error.ts';

interface ProcessColumn {
  readonly heading: string;
  readonly of: (process: TaskProcess) => string;
}

const USUAL = ['user', 'pid', 'ppid', 'c', 'stime', 'tty', 'time', 'cmd'];
const DAY_MS = 86_400_000;

/** By the names that ps has for them. */
const COLUMNS: Readonly<Record<string, ProcessColumn>> = {
  pid: { heading: 'PID', of: ({ pid }) => String(pid) },
  ppid: { heading: 'PPID', of: ({ parentPid }) => String(parentPid) },
  // Inside of the container.
  cpid: { heading: 'CPID', of: ({ containerPid }) => String(containerPid) },
  uid: { heading: 'UID', of: ({ uid }) => String(uid) },
  // Names of the container's users are not the host's; root is the same in both.
  user: { heading: 'UID', of: ({ uid }) => (uid === 0 ? 'root' : String(uid)) },
  gid: { heading: 'GID', of: ({ gid }) => String(gid) },
  c: { heading: 'C', of: (process) => String(Math.min(Math.floor(cpuPercent(process)), 99)) },
  stime: { heading: 'STIME', of: startTime },
  tty: { heading: 'TTY', of: ({ terminal }) => terminal || '?' },
  time: { heading: 'TIME', of: ({ cpuTimeMs }) => clock(Number(cpuTimeMs) / 1000) },
  cmd: { heading: 'CMD', of: ({ args, name }) => (args.length > 0 ? args.join(' ') : `[${name}]`) },
  comm: { heading: 'COMMAND', of: ({ name }) => name },
  stat: { heading: 'STAT', of: ({ state }) => state },
  rss: { heading: 'RSS', of: ({ rssBytes }) => String(rssBytes / 1024n) },
  nlwp: { heading: 'NLWP', of: ({ threads }) => String(threads) },
};

const SAME: Readonly<Record<string, string>> = {
  args: 'cmd',
  command: 'cmd',
  tt: 'tty',
  s: 'stat',
  state: 'stat',
};

export const top: Action<typeof NO_OPTIONS> = async ({ positionals: [container = '', ...rest] }, context) => {
  const columns = chosen(rest);
  const { processes } = await context.connect().unary(listTaskProcesses, { container });
  const rows = processes.map((process) => columns.map(({ of }) => of(process)));
  print(
    renderTable(
      columns.map(({ heading }) => heading),
      rows,
    ),
  );
  return 0;
};

/** @throws UsageError for options of ps that are not there. */
function chosen(words: readonly string[]): readonly ProcessColumn[] {
  const text = words.join(' ').replace(/^-?(?:e|A|ef|eF|ax)(?: |$)/, '');
  if (text === '') return columnsOf(USUAL);
  const [, list] = /^-?[eA]?o ?(\S+)$/.exec(text) ?? [];
  if (list === undefined)
    throw new UsageError(`cannot read the options of top: ${words.join(' ')}`, {
      hint: `-ef, or -o with some of ${Object.keys(COLUMNS).join(',')}`,
    });
  return columnsOf(list.split(','));
}

function columnsOf(names: readonly string[]): readonly ProcessColumn[] {
  return names.map((name) => {
    const column = COLUMNS[SAME[name] ?? name];
    if (column !== undefined) return column;
    throw new UsageError(`unknown column ${JSON.stringify(name)} of top`, {
      hint: `known: ${Object.keys(COLUMNS).join(', ')}`,
    });
  });
}

function startMs({ startedAt }: TaskProcess): number {
  return Number(startedAt?.seconds ?? 0n) * 1000;
}

/** Of its whole life. */
function cpuPercent(process: TaskProcess): number {
  const age = Date.now() - startMs(process);
  return age <= 0 ? 0 : (Number(process.cpuTimeMs) * 100) / age;
}

/** `03:13`, for an older one `Nov22`. */
function startTime(process: TaskProcess): string {
  const date = new Date(startMs(process));
  if (Date.now() - date.getTime() < DAY_MS)
    return clock(date.getHours() * 3600 + date.getMinutes() * 60).slice(0, 5);
  return `${date.toLocaleString('en-US', { month: 'short' })}${String(date.getDate()).padStart(2, '0')}`;
}

/** `hh:mm:ss` */
function clock(seconds: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  return `${two(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}`;
}

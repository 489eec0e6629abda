/** `mydocker stats`: what containers use, once or again and again. */
import { ListContainersRequest } from '../../proto/gen/mydocker/v1/containers.ts';
import { GetInfoRequest } from '../../proto/gen/mydocker/v1/system.ts';
import { type TaskStats, WatchTaskStatsRequest } from '../../proto/gen/mydocker/v1/tasks.ts';
import { listContainers } from '../api/containers.ts';
import { getInfo } from '../api/system.ts';
import { watchTaskStats } from '../api/tasks.ts';
import type { Action } from '../grammar/command.ts';
import type { STATS_OPTIONS } from '../grammar/command-options.ts';
import { print } from '../output.ts';
import { renderRows } from '../render/rows.ts';
import { type StatsRow, statsColumns, USUAL_STATS } from '../render/stats-columns.ts';
import type { Connection } from '../transport/connection.ts';

/** From the first look at a counter to the second: what a use of CPU is measured by. */
const SAMPLE_MS = 500;
const INTERVAL_MS = 1000;
/** Moves to the top left corner; what is left of the screen before goes line by line and at the end. */
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

export const stats: Action<typeof STATS_OPTIONS> = async ({ options, positionals }, context) => {
  const { all = false, noStream = false, noTrunc = false, format } = options;
  const connection = context.connect();
  const request = WatchTaskStatsRequest.create({
    containers: positionals,
    intervalMs: noStream ? SAMPLE_MS : INTERVAL_MS,
  });
  const { host } = await connection.unary(getInfo, GetInfoRequest.create({}));
  const columns = statsColumns(noTrunc, host?.memoryBytes ?? 0n);
  const isScreen = !noStream && process.stdout.isTTY === true && (format ?? 'table').startsWith('table');
  let rounds = 0;
  let found: TaskStats[] = [];
  for await (const page of connection.serverStream(watchTaskStats, request)) {
    found.push(...page.stats);
    if (page.more) continue;
    rounds += 1;
    // The first round knows no use of CPU yet.
    if (rounds > 1 || !noStream) {
      const rows = await rowsOf(connection, found, positionals, all);
      const text = renderRows(rows, columns, USUAL_STATS, format);
      print(isScreen ? `${HOME}${text.replaceAll('\n', `${CLEAR_LINE}\n`)}${CLEAR_BELOW}` : text);
      if (noStream) return 0;
    }
    found = [];
  }
  return 0;
};

/** Those that run, and, where they are asked for, those that do not. */
async function rowsOf(
  connection: Connection,
  found: readonly TaskStats[],
  names: readonly string[],
  all: boolean,
): Promise<StatsRow[]> {
  const running = found.map((each) => ({ id: each.containerId, name: each.name, stats: each }));
  if (!all && names.length === 0) return running;
  const shown = new Set(running.map(({ id }) => id));
  const others: StatsRow[] = [];
  for await (const page of connection.serverStream(listContainers, ListContainersRequest.create({})))
    for (const { id, name } of page.containers) {
      const isNamed = names.length === 0 || names.some((text) => text === name || id.startsWith(text));
      if (!shown.has(id) && isNamed) others.push({ id, name, stats: undefined });
    }
  return [...running, ...others];
}

/** `mydocker ps`: containers, newest first. */
import { type ContainerSummary, ListContainersRequest } from '../../proto/gen/mydocker/v1/containers.ts';
import { type Exit, ExitReason, HealthStatus, TaskStatus } from '../../proto/gen/mydocker/v1/types.ts';
import { listContainers } from '../api/containers.ts';
import type { Action } from '../grammar/command.ts';
import type { PS_OPTIONS } from '../grammar/command-options.ts';
import type { Arguments } from '../grammar/option.ts';
import { print } from '../output.ts';
import { labelConditions, oneOf, parseFilters } from '../parse/parse-filters.ts';
import { parseWhole } from '../parse/parse-number.ts';
import { renderTable, truncate } from '../render/table.ts';
import { showId, showPort, showTime } from '../render/values.ts';

const HEADING = [
  'CONTAINER ID',
  'NAME',
  'IMAGE',
  'STATUS',
  'DRIVER',
  'PID',
  'COMMAND',
  'IPS',
  'PORTS',
  'CREATED',
];
const COMMAND_WIDTH = 32;

const STATUSES: Readonly<Record<string, TaskStatus>> = {
  created: TaskStatus.CREATED,
  starting: TaskStatus.STARTING,
  running: TaskStatus.RUNNING,
  paused: TaskStatus.PAUSED,
  stopped: TaskStatus.STOPPED,
  // Docker's word for the same.
  exited: TaskStatus.STOPPED,
  restarting: TaskStatus.RESTARTING,
  removing: TaskStatus.REMOVING,
};
const HEALTHS: Readonly<Record<string, HealthStatus>> = {
  starting: HealthStatus.STARTING,
  healthy: HealthStatus.HEALTHY,
  unhealthy: HealthStatus.UNHEALTHY,
};
const FILTERS = [
  'id',
  'name',
  'status',
  'image',
  'ancestor',
  'label',
  'label!',
  'network',
  'volume',
  'exited',
  'health',
  'publish',
  'before',
  'since',
] as const;

export const ps: Action<typeof PS_OPTIONS> = async (args, context) => {
  const { quiet, noTrunc = false } = args.options;
  const containers: ContainerSummary[] = [];
  for await (const page of context.connect().serverStream(listContainers, request(args))) {
    containers.push(...page.containers);
  }
  if (quiet) print(containers.map(({ id }) => `${showId(id, noTrunc)}\n`).join(''));
  else
    print(
      renderTable(
        HEADING,
        containers.map((container) => row(container, noTrunc)),
      ),
    );
  return 0;
};

function request({ options }: Arguments<typeof PS_OPTIONS>): ListContainersRequest {
  const { running = false, last, latest } = options;
  const given = parseFilters(options.filter, FILTERS);
  const limit = latest ? 1 : last === undefined ? 0 : parseWhole('--last', last, -1, 1_000_000);
  return ListContainersRequest.create({
    runningOnly: running,
    limit: Math.max(limit, 0),
    idPrefixes: given.id,
    names: given.name,
    statuses: given.status.map((text) => oneOf('status', text, STATUSES)),
    images: [...given.image, ...given.ancestor],
    labels: labelConditions(given.label, given['label!']),
    networks: given.network,
    volumes: given.volume,
    exitStatuses: given.exited.map((text) => parseWhole('--filter exited', text, 0, 255)),
    healths: given.health.map((text) => oneOf('health', text, HEALTHS)),
    publishedPorts: given.publish.map((text) =>
      parseWhole('--filter publish', text.replace(/\/\w+$/, ''), 1, 65_535),
    ),
    beforeContainer: given.before.at(-1) ?? '',
    sinceContainer: given.since.at(-1) ?? '',
  });
}

function row(container: ContainerSummary, whole: boolean): string[] {
  const command = `[${container.args.join(' ')}]`;
  return [
    showId(container.id, whole),
    container.name,
    showId(container.image, whole),
    showStatus(container),
    container.driver,
    String(container.pid),
    whole ? command : truncate(command, COMMAND_WIDTH),
    container.ips.join(', '),
    container.ports.map(showPort).join(', '),
    showTime(container.createdAt),
  ];
}

/** What it is doing, and how the last run ended: `running (healthy)`, `stopped (137, out of memory)`. */
function showStatus({ status, exit, health, notResponding }: ContainerSummary): string {
  const name = Object.keys(STATUSES).find((name) => STATUSES[name] === status) ?? 'unknown';
  const notes: string[] = [];
  if (status === TaskStatus.STOPPED || status === TaskStatus.RESTARTING) notes.push(...showExit(exit));
  const healthName = Object.keys(HEALTHS).find((name) => HEALTHS[name] === health);
  if (status === TaskStatus.RUNNING && healthName !== undefined) notes.push(healthName);
  if (notResponding) notes.push('not responding');
  return notes.length === 0 ? name : `${name} (${notes.join(', ')})`;
}

function showExit(exit: Exit | undefined): string[] {
  if (exit === undefined) return [];
  if (exit.reason === ExitReason.LOST) return ['lost'];
  if (exit.reason === ExitReason.REBOOT) return ['reboot'];
  if (exit.reason === ExitReason.FAILED) return ['failed'];
  return [String(exit.exitStatus), ...(exit.oomKilled ? ['out of memory'] : [])];
}

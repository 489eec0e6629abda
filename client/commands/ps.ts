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
import { type Column, renderRows } from '../render/rows.ts';
import { truncate } from '../render/table.ts';
import { showAgo, showExposed, showId, showPort, showSize, showTime } from '../render/values.ts';

const USUAL = [...['ID', 'Name', 'Image', 'Status', 'Driver', 'PID', 'Command', 'IPs', 'Ports', 'CreatedAt']];
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
  const { quiet, noTrunc = false, format } = args.options;
  const containers: ContainerSummary[] = [];
  for await (const page of context.connect().serverStream(listContainers, request(args))) {
    containers.push(...page.containers);
  }
  if (quiet) print(containers.map(({ id }) => `${showId(id, noTrunc)}\n`).join(''));
  else {
    const usual = args.options.size ? [...USUAL, 'Size'] : USUAL;
    print(renderRows(containers, columns(noTrunc), usual, format, { Label: labelOf }));
  }
  return 0;
};

function request({ options }: Arguments<typeof PS_OPTIONS>): ListContainersRequest {
  const { running = false, last, latest, size = false } = options;
  const given = parseFilters(options.filter, FILTERS);
  const limit = latest ? 1 : last === undefined ? 0 : parseWhole('--last', last, -1, 1_000_000);
  return ListContainersRequest.create({
    runningOnly: running,
    // A template may ask for it without the option.
    size: size || /\.Size\b/i.test(options.format ?? ''),
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

const labelOf = ({ labels }: ContainerSummary, key: string): string =>
  Object.hasOwn(labels, key) ? (labels[key] ?? '') : '';

function columns(whole: boolean): readonly Column<ContainerSummary>[] {
  const command = ({ args }: ContainerSummary): string => `[${args.join(' ')}]`;
  return [
    { name: 'ID', heading: 'CONTAINER ID', of: ({ id }) => showId(id, whole) },
    { name: 'Name', heading: 'NAME', of: ({ name }) => name },
    { name: 'Names', heading: 'NAMES', of: ({ name }) => name },
    { name: 'Image', heading: 'IMAGE', of: ({ image }) => showId(image, whole) },
    { name: 'Status', heading: 'STATUS', of: showStatus },
    { name: 'State', heading: 'STATE', of: ({ status }) => statusName(status) },
    { name: 'Driver', heading: 'DRIVER', of: ({ driver }) => driver },
    { name: 'PID', heading: 'PID', of: ({ pid }) => String(pid) },
    {
      name: 'Command',
      heading: 'COMMAND',
      of: (item) => (whole ? command(item) : truncate(command(item), COMMAND_WIDTH)),
    },
    { name: 'IPs', heading: 'IPS', of: ({ ips }) => ips.join(', ') },
    { name: 'Ports', heading: 'PORTS', of: showPorts },
    { name: 'CreatedAt', heading: 'CREATED', of: ({ createdAt }) => showTime(createdAt) },
    { name: 'RunningFor', heading: 'CREATED', of: ({ createdAt }) => showAgo(createdAt) },
    { name: 'Size', heading: 'SIZE', of: showFiles },
    { name: 'Networks', heading: 'NETWORKS', of: ({ networks }) => networks.join(',') },
    { name: 'Mounts', heading: 'MOUNTS', of: ({ mounts }) => mounts.join(',') },
    {
      name: 'Labels',
      heading: 'LABELS',
      of: ({ labels }) =>
        Object.entries(labels)
          .map(([key, value]) => `${key}=${value}`)
          .join(','),
    },
  ];
}

/** Published ports, then those that the service listens on without being published. */
function showPorts({ exposedPorts, ports }: ContainerSummary): string {
  const published = new Set(ports.map(({ containerPort, protocol }) => `${containerPort} ${protocol}`));
  const others = exposedPorts.filter(
    ({ containerPort, protocol }) => !published.has(`${containerPort} ${protocol}`),
  );
  return [...ports.map(showPort), ...others.map(showExposed)].join(', ');
}

/** What it wrote, and its whole root filesystem. */
function showFiles({ size }: ContainerSummary): string {
  if (size === undefined) return '';
  return `${showSize(size.writableBytes)} (virtual ${showSize(size.rootfsBytes)})`;
}

function statusName(status: TaskStatus): string {
  return Object.keys(STATUSES).find((name) => STATUSES[name] === status) ?? 'unknown';
}

/** What it is doing, and how the last run ended: `running (healthy)`, `stopped (137, out of memory)`. */
function showStatus({ status, exit, health, notResponding }: ContainerSummary): string {
  const name = statusName(status);
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

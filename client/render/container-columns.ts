/**
 * What lists tell of a container, twice: in the columns of the usual table, which are those of earlier programs of
 * this kind, and by the names and in the words of Docker for templates and JSON.
 */
import type { ContainerSummary } from '../../proto/gen/mydocker/v1/containers.ts';
import {
  type Exit,
  ExitReason,
  HealthStatus,
  type PortMapping,
  TaskStatus,
} from '../../proto/gen/mydocker/v1/types.ts';
import { dockerState } from '../inspect/docker-state.ts';
import type { Column } from './rows.ts';
import { truncate } from './table.ts';
import {
  showAgo,
  showDuration,
  showExposed,
  showId,
  showPort,
  showSize,
  showTime,
  showZonedTime,
} from './values.ts';

/** What may be typed for a status, and what the usual table calls it. */
export const STATUSES: Readonly<Record<string, TaskStatus>> = {
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

/** What may be typed for the result of a health check. */
export const HEALTHS: Readonly<Record<string, HealthStatus>> = {
  none: HealthStatus.UNSPECIFIED,
  starting: HealthStatus.STARTING,
  healthy: HealthStatus.HEALTHY,
  unhealthy: HealthStatus.UNHEALTHY,
};

/** Columns of the usual table. */
export const USUAL_COLUMNS: readonly string[] = [
  'ID',
  'Name',
  'Image',
  'Condition',
  'Driver',
  'PID',
  'Args',
  'IPs',
  'HostPorts',
  'Created',
];

const ARGS_WIDTH = 32;
/** Docker's. */
const COMMAND_WIDTH = 20;

/** @param whole - ids and texts are not cut. */
export function containerColumns(whole: boolean): readonly Column<ContainerSummary>[] {
  const cut = (text: string, width: number): string => (whole ? text : truncate(text, width));
  return [
    { name: 'ID', heading: 'CONTAINER ID', of: ({ id }) => showId(id, whole) },
    { name: 'Names', heading: 'NAMES', of: ({ name }) => name },
    { name: 'Image', heading: 'IMAGE', of: ({ image }) => showId(image, whole) },
    {
      name: 'Command',
      heading: 'COMMAND',
      of: ({ args }) => `"${cut(args.map(quoted).join(' '), COMMAND_WIDTH)}"`,
    },
    { name: 'CreatedAt', heading: 'CREATED AT', of: ({ createdAt }) => showZonedTime(createdAt) },
    { name: 'RunningFor', heading: 'CREATED', of: ({ createdAt }) => showAgo(createdAt) },
    { name: 'Ports', heading: 'PORTS', of: showDockerPorts },
    { name: 'State', heading: 'STATE', of: ({ status }) => dockerState(status) },
    { name: 'Status', heading: 'STATUS', of: showStatus },
    { name: 'Size', heading: 'SIZE', of: showFiles },
    { name: 'Labels', heading: 'LABELS', of: showLabels },
    { name: 'LocalVolumes', heading: 'LOCAL VOLUMES', of: ({ volumeCount }) => String(volumeCount) },
    { name: 'Mounts', heading: 'MOUNTS', of: ({ mounts }) => mounts.join(',') },
    { name: 'Networks', heading: 'NETWORKS', of: ({ networks }) => networks.join(',') },
    { name: 'Name', heading: 'NAME', of: ({ name }) => name },
    { name: 'Condition', heading: 'STATUS', of: showCondition },
    { name: 'Driver', heading: 'DRIVER', of: ({ driver }) => driver },
    { name: 'PID', heading: 'PID', of: ({ pid }) => String(pid) },
    { name: 'Args', heading: 'COMMAND', of: ({ args }) => cut(`[${args.join(' ')}]`, ARGS_WIDTH) },
    { name: 'IPs', heading: 'IPS', of: ({ ips }) => ips.join(', ') },
    { name: 'HostPorts', heading: 'PORTS', of: showHostPorts },
    { name: 'Created', heading: 'CREATED', of: ({ createdAt }) => showTime(createdAt) },
  ];
}

/** `{{.Label "KEY"}}`; empty where there is none. */
export function labelOf({ labels }: ContainerSummary, key: string): string {
  return Object.hasOwn(labels, key) ? (labels[key] ?? '') : '';
}

/** As Docker shows it: what has a space in it stands in quotes. */
function quoted(word: string, place: number): string {
  return place > 0 && /\s/.test(word) ? `'${word}'` : word;
}

function showLabels({ labels }: ContainerSummary): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',');
}

/** Published ports, then those that the service listens on without being published. */
function showHostPorts(item: ContainerSummary): string {
  return [...item.ports.map(showPort), ...unpublished(item)].join(', ');
}

/** The same as Docker writes it: `0.0.0.0:8080->80/tcp, 443/tcp`. */
function showDockerPorts(item: ContainerSummary): string {
  const published = item.ports.map((port: PortMapping): string => {
    const inside = showExposed({ ...port, count: Math.max(port.count, 1) });
    const last = port.count > 1 ? `-${port.hostPort + port.count - 1}` : '';
    return `${port.hostIp === '' ? '0.0.0.0' : port.hostIp}:${port.hostPort}${last}->${inside}`;
  });
  return [...published, ...unpublished(item)].join(', ');
}

function unpublished({ exposedPorts, ports }: ContainerSummary): string[] {
  const published = new Set(
    ports.flatMap(({ containerPort, count, protocol }) =>
      Array.from({ length: Math.max(count, 1) }, (_, index) => `${containerPort + index} ${protocol}`),
    ),
  );
  return exposedPorts
    .filter(({ containerPort, protocol }) => !published.has(`${containerPort} ${protocol}`))
    .map(showExposed);
}

/** What it wrote, and its whole root filesystem. */
function showFiles({ size }: ContainerSummary): string {
  if (size === undefined) return '';
  return `${showSize(size.writableBytes)} (virtual ${showSize(size.rootfsBytes)})`;
}

/** What it is doing, and how the last run ended: `running (healthy)`, `stopped (137, out of memory)`. */
function showCondition(item: ContainerSummary): string {
  const { status, exit } = item;
  const name = Object.keys(STATUSES).find((word) => STATUSES[word] === status) ?? 'unknown';
  const ended = status === TaskStatus.STOPPED || status === TaskStatus.RESTARTING;
  const notes = [...(ended ? showExit(exit) : []), ...liveNotes(item)];
  return notes.length === 0 ? name : `${name} (${notes.join(', ')})`;
}

/** Docker's sentence: `Up 5 minutes (healthy)`, `Exited (137) 3 seconds ago`, `Created`. */
function showStatus(item: ContainerSummary): string {
  const { status, exit, startedAt } = item;
  const notes = liveNotes(item);
  const more = notes.length === 0 ? '' : ` (${notes.join(', ')})`;
  switch (status) {
    case TaskStatus.RUNNING:
      return `Up ${showDuration(startedAt)}${more}`;
    case TaskStatus.PAUSED:
      return `Up ${showDuration(startedAt)} (${['Paused', ...notes].join(', ')})`;
    case TaskStatus.STOPPED:
      return `Exited (${exit?.exitStatus ?? 0}) ${showAgo(exit?.exitedAt)}`.trimEnd();
    case TaskStatus.RESTARTING:
      return `Restarting (${exit?.exitStatus ?? 0}) ${showAgo(exit?.exitedAt)}`.trimEnd();
    case TaskStatus.REMOVING:
      return 'Removal In Progress';
    default:
      return 'Created';
  }
}

function liveNotes({ status, health, notResponding }: ContainerSummary): string[] {
  const checked = status === TaskStatus.RUNNING && health !== HealthStatus.UNSPECIFIED;
  const word = Object.keys(HEALTHS).find((name) => HEALTHS[name] === health);
  return [...(checked && word !== undefined ? [word] : []), ...(notResponding ? ['not responding'] : [])];
}

function showExit(exit: Exit | undefined): string[] {
  if (exit === undefined) return [];
  if (exit.reason === ExitReason.LOST) return ['lost'];
  if (exit.reason === ExitReason.REBOOT) return ['reboot'];
  if (exit.reason === ExitReason.FAILED) return ['failed'];
  return [String(exit.exitStatus), ...(exit.oomKilled ? ['out of memory'] : [])];
}

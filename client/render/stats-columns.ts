/** What `stats` shows of a container, by the names and in the words of Docker. */
import type { TaskStats } from '../../proto/gen/mydocker/v1/tasks.ts';
import type { Column } from './rows.ts';
import { truncate } from './table.ts';
import { showId } from './values.ts';

/** A row: a container that runs, or one that does not and uses nothing. */
export interface StatsRow {
  readonly id: string;
  readonly name: string;
  readonly stats: TaskStats | undefined;
}

/** Columns of the table; throttling and pressure are there for templates and JSON. */
export const USUAL_STATS: readonly string[] = [
  'ID',
  'Name',
  'CPUPerc',
  'MemUsage',
  'MemPerc',
  'NetIO',
  'BlockIO',
  'PIDs',
];

const NAME_WIDTH = 40;
const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const DECIMAL = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** `12.5MiB`: without a space, four digits or three. */
function scaled(value: number, base: number, units: readonly string[], digits: number): string {
  let rest = value;
  let unit = 0;
  while (rest >= base && unit < units.length - 1) {
    rest /= base;
    unit += 1;
  }
  return `${Number(rest.toPrecision(digits))}${units[unit]}`;
}

const memorySize = (bytes: bigint | number): string => scaled(Number(bytes), 1024, BINARY, 4);
const trafficSize = (bytes: bigint | number): string => scaled(Number(bytes), 1000, DECIMAL, 3);
const percent = (value: number): string => `${value.toFixed(2)}%`;

/**
 * @param whole - ids and names are not cut.
 * @param hostMemoryBytes - what a container without a limit may use.
 */
export function statsColumns(whole: boolean, hostMemoryBytes: bigint): readonly Column<StatsRow>[] {
  const limitOf = ({ stats }: StatsRow): bigint => stats?.memory?.limitBytes || hostMemoryBytes;
  const used = ({ stats }: StatsRow): bigint => stats?.memory?.usageBytes ?? 0n;
  const shownName = ({ name }: StatsRow): string => (whole ? name : truncate(name, NAME_WIDTH));
  return [
    { name: 'ID', heading: 'CONTAINER ID', of: ({ id }) => showId(id, whole) },
    { name: 'Name', heading: 'NAME', of: shownName },
    { name: 'CPUPerc', heading: 'CPU %', of: ({ stats }) => percent(stats?.cpu?.percent ?? 0) },
    {
      name: 'MemUsage',
      heading: 'MEM USAGE / LIMIT',
      of: (row) =>
        row.stats === undefined ? '0B / 0B' : `${memorySize(used(row))} / ${memorySize(limitOf(row))}`,
    },
    {
      name: 'MemPerc',
      heading: 'MEM %',
      of: (row) => percent((Number(used(row)) * 100) / Math.max(Number(limitOf(row)), 1)),
    },
    { name: 'NetIO', heading: 'NET I/O', of: showTraffic },
    {
      name: 'BlockIO',
      heading: 'BLOCK I/O',
      of: ({ stats }) =>
        `${trafficSize(stats?.blockIo?.readBytes ?? 0n)} / ${trafficSize(stats?.blockIo?.writeBytes ?? 0n)}`,
    },
    { name: 'PIDs', heading: 'PIDS', of: ({ stats }) => String(stats?.pidsCurrent ?? 0n) },
    { name: 'Container', heading: 'CONTAINER', of: ({ id }) => showId(id, whole) },
    { name: 'Throttled', heading: 'THROTTLED', of: showThrottled },
    { name: 'Pressure', heading: 'PRESSURE', of: showPressure },
  ];
}

function showTraffic({ stats }: StatsRow): string {
  const interfaces = stats?.interfaces ?? [];
  const received = interfaces.reduce((sum, { rxBytes }) => sum + rxBytes, 0n);
  const sent = interfaces.reduce((sum, { txBytes }) => sum + txBytes, 0n);
  return `${trafficSize(received)} / ${trafficSize(sent)}`;
}

/** Of its scheduling periods, those in which it used up its quota. */
function showThrottled({ stats }: StatsRow): string {
  const { periods = 0n, throttledPeriods = 0n } = stats?.cpu ?? {};
  return periods === 0n ? '--' : percent((Number(throttledPeriods) * 100) / Number(periods));
}

/** Part of the last 10 s in which something waited: CPU, memory, block I/O. */
function showPressure({ stats }: StatsRow): string {
  const { pressure } = stats ?? {};
  if (pressure === undefined) return '--';
  const { cpu, memory, io } = pressure;
  return [cpu, memory, io].map((kind) => percent(kind?.someAvg10 ?? 0)).join(' / ');
}

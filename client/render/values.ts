/** How ids, sizes, times, references and ports are shown. */
import type { Timestamp } from '../../proto/gen/google/protobuf/timestamp.ts';
import { type ExposedPort, type PortMapping, PortProtocol } from '../../proto/gen/mydocker/v1/types.ts';

const SHORT_ID = 12;
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** The usual 12 digits of an id, or the whole one; what is no id stays as it is. */
export function showId(id: string, whole = false): string {
  return whole || !/^(?:sha256:)?[0-9a-f]{64}$/.test(id) ? id : id.replace('sha256:', '').slice(0, SHORT_ID);
}

/** A size in decimal units with four digits: `354.9 MB`. */
export function showSize(bytes: bigint | number): string {
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${Number(value.toPrecision(4))} ${UNITS[unit]}`;
}

/** A time in the local zone: `2026-11-22 03:13:00`; empty where there is none. */
export function showTime(time: Timestamp | undefined): string {
  if (time === undefined) return '';
  const date = new Date(Number(time.seconds) * 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

const AGES: readonly (readonly [unit: string, seconds: number])[] = [
  ['year', 31_557_600],
  ['month', 2_629_800],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
];

/** How long ago: `3 hours ago`, a unit only from two of it on; empty where there is no time. */
export function showAgo(time: Timestamp | undefined, nowMs: number = Date.now()): string {
  if (time === undefined) return '';
  const age = Math.max(0, Math.floor(nowMs / 1000) - Number(time.seconds));
  const [unit, seconds] = AGES.find(([, length]) => age >= 2 * length) ?? (['second', 1] as const);
  const count = Math.floor(age / seconds);
  return `${count} ${unit}${count === 1 ? '' : 's'} ago`;
}

/** A time as RFC 3339 says it, UTC, always with nine digits behind the point. */
export function showInstant(time: Timestamp): string {
  const seconds = new Date(Number(time.seconds) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(time.nanos).padStart(9, '0')}Z`;
}

/** Repository and tag as people type them: `docker.io/library/redis:7` is `redis`, `7`. */
export function splitReference(reference: string): { readonly repository: string; readonly tag: string } {
  const familiar = reference.replace(/^docker\.io\/(?:library\/(?=[^/]+$))?/, '');
  const at = familiar.indexOf('@');
  if (at >= 0) return { repository: familiar.slice(0, at), tag: '<none>' };
  const colon = familiar.indexOf(':', familiar.lastIndexOf('/') + 1);
  return colon < 0
    ? { repository: familiar, tag: '<none>' }
    : { repository: familiar.slice(0, colon), tag: familiar.slice(colon + 1) };
}

/** `80/tcp`, `8000-8009/udp`: a port that nobody published. */
export function showExposed({ containerPort, count, protocol }: ExposedPort): string {
  const last = containerPort + Math.max(count, 1) - 1;
  const kind = { [PortProtocol.UDP]: 'udp', [PortProtocol.SCTP]: 'sctp' }[protocol as number] ?? 'tcp';
  return `${containerPort}${last > containerPort ? `-${last}` : ''}/${kind}`;
}

/** `8036->3306`, with address, range and protocol where they are not the usual ones. */
export function showPort({ hostIp, hostPort, containerPort, count, protocol }: PortMapping): string {
  const range = (first: number): string => (count > 1 ? `${first}-${first + count - 1}` : String(first));
  const address = hostIp === '' ? '' : `${hostIp.includes(':') ? `[${hostIp}]` : hostIp}:`;
  const kind = { [PortProtocol.UDP]: '/udp', [PortProtocol.SCTP]: '/sctp' }[protocol as number] ?? '';
  return `${address}${range(hostPort)}->${range(containerPort)}${kind}`;
}

/** A reference as people type it: `docker.io/library/redis:7` is `redis:7`. */
export function showReference(reference: string): string {
  const { repository, tag } = splitReference(reference);
  return `${repository}:${tag}`;
}

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

/** A time with its zone as Docker writes it: `2026-11-22 03:13:00 +0000 UTC`; empty where there is none. */
export function showZonedTime(time: Timestamp | undefined): string {
  if (time === undefined) return '';
  const date = new Date(Number(time.seconds) * 1000);
  const minutes = -date.getTimezoneOffset();
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  const zone = `${minutes < 0 ? '-' : '+'}${two(Math.abs(minutes) / 60)}${two(Math.abs(minutes) % 60)}`;
  const word = date.toLocaleTimeString('en-US', { timeZoneName: 'short' }).split(' ').at(-1);
  return `${showTime(time)} ${zone} ${word}`;
}

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;
/** From which age on a unit is used, in seconds. */
const AGES: readonly (readonly [from: number, unit: string, seconds: number])[] = [
  [730 * DAY, 'years', 365 * DAY],
  [60 * DAY, 'months', 30 * DAY],
  [14 * DAY, 'weeks', 7 * DAY],
  [2 * DAY, 'days', DAY],
  [2 * HOUR, 'hours', HOUR],
  [2 * MINUTE, 'minutes', MINUTE],
  [2, 'seconds', 1],
];

/** The time since then in Docker's words: `5 minutes`, `About an hour`; empty where there is no time. */
export function showDuration(time: Timestamp | undefined, nowMs: number = Date.now()): string {
  if (time === undefined) return '';
  const age = Math.max(0, Math.floor(nowMs / 1000) - Number(time.seconds));
  if (age < 1) return 'Less than a second';
  if (age < 2) return '1 second';
  if (age >= MINUTE && age < 2 * MINUTE) return 'About a minute';
  if (age >= HOUR && age < 2 * HOUR) return 'About an hour';
  const [, unit, seconds] = AGES.find(([from]) => age >= from) ?? [0, 'seconds', 1];
  return `${Math.floor(age / seconds)} ${unit}`;
}

/** How long ago: `3 hours ago`; empty where there is no time. */
export function showAgo(time: Timestamp | undefined, nowMs: number = Date.now()): string {
  return time === undefined ? '' : `${showDuration(time, nowMs)} ago`;
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
  const at = reference.indexOf('@');
  if (at >= 0)
    return `${showReference(reference.slice(0, at)).replace(/:<none>$/, '')}${reference.slice(at)}`;
  const { repository, tag } = splitReference(reference);
  return `${repository}:${tag}`;
}

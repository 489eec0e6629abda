/** Ports that a service listens on: text in configurations, numbers on the wire; and those that are published. */
import { type ExposedPort, type PortMapping, PortProtocol } from '../../proto/gen/mydocker/v1/types.ts';
import type { ContainerRecord } from '../model/container.ts';
import { joinPorts, type PortProtocol as Protocol, type PublishedPort } from '../model/port.ts';
import { isAlive } from '../model/task-state.ts';
import type { PortPattern } from '../ops/update-ports.ts';

const PROTOCOL: Readonly<Record<PortProtocol, Protocol>> = {
  [PortProtocol.UNSPECIFIED]: 'tcp',
  [PortProtocol.TCP]: 'tcp',
  [PortProtocol.UDP]: 'udp',
  [PortProtocol.SCTP]: 'sctp',
};

const WIRE_PROTOCOL: Readonly<Record<Protocol, PortProtocol>> = {
  tcp: PortProtocol.TCP,
  udp: PortProtocol.UDP,
  sctp: PortProtocol.SCTP,
};

/** `80/tcp`, `8000-8009/udp`. */
export function decodePort({ containerPort, count, protocol }: ExposedPort): string {
  const last = containerPort + Math.max(count, 1) - 1;
  return `${containerPort}${last > containerPort ? `-${last}` : ''}/${PROTOCOL[protocol]}`;
}

/** `80/tcp`, `53/udp`, `8000-8009`; what cannot be read is left out, the image says it and nobody acts on it. */
export function encodePort(text: string): ExposedPort[] {
  const [, first, last, name = 'tcp'] = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(text) ?? [];
  if (first === undefined) return [];
  const count = Number(last ?? first) - Number(first) + 1;
  return [{ containerPort: Number(first), count, protocol: WIRE_PROTOCOL[name as Protocol] }];
}

export function decodeMapping({ protocol, count, ...port }: PortMapping): PublishedPort {
  return { ...port, protocol: PROTOCOL[protocol], count: Math.max(count, 1) };
}

/** What is not given matches any. */
export function decodePattern({ protocol, count, ...port }: PortMapping): PortPattern {
  const known = protocol === PortProtocol.UNSPECIFIED ? {} : { protocol: PROTOCOL[protocol] };
  return { ...port, ...known, count: Math.max(count, 1) };
}

export function encodeMapping({ protocol, ...port }: PublishedPort): PortMapping {
  return { ...port, protocol: WIRE_PROTOCOL[protocol] };
}

/** What a container publishes now: nothing while it does not run. */
export function encodePublished({ status, run }: Pick<ContainerRecord, 'status' | 'run'>): PortMapping[] {
  return isAlive(status) ? joinPorts(run?.ports ?? []).map(encodeMapping) : [];
}

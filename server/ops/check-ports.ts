/** Whether ports can be published as somebody asks, as far as that can be known without taking them. */
import { isIP } from 'node:net';
import type { ContainerConfig } from '../model/container.ts';
import { invalidArgument } from '../model/error.ts';
import {
  addressesMeet,
  MAX_PORT,
  MAX_PUBLISHED,
  type PortProtocol,
  type PublishedPort,
  portText,
  singlePorts,
} from '../model/port.ts';
import { invalid } from './check-mounts.ts';

const inRange = (port: number, least: number): boolean =>
  Number.isInteger(port) && port >= least && port <= MAX_PORT;

/**
 * Ports as they are kept: addresses in their usual spelling, none twice.
 * @throws MydockerError `invalid-argument`.
 */
export function checkPorts(ports: readonly PublishedPort[]): PublishedPort[] {
  const checked = ports.map(checkPort);
  const count = checked.reduce((sum, port) => sum + port.count, 0);
  if (count > MAX_PUBLISHED)
    throw invalid('ports', String(count), `there are more than ${MAX_PUBLISHED}`, {
      hint: 'a service with so many ports lives in the host’s network: --network host',
    });
  const kept: PublishedPort[] = [];
  for (const port of checked) {
    const same = (other: PublishedPort): boolean => JSON.stringify(other) === JSON.stringify(port);
    if (port.hostPort !== 0 && kept.some(same)) continue;
    const [twice] = singlePorts([port]).filter((one) => singlePorts(kept).some((other) => meet(one, other)));
    if (twice !== undefined)
      throw invalid('port', portText(twice), 'two ports of the container want it', {
        hint: 'give each a port of the host of its own',
      });
    kept.push(port);
  }
  return kept;
}

/** Whether both want the same port of the host. */
export const meet = (one: PublishedPort, other: PublishedPort): boolean =>
  one.hostPort !== 0 &&
  one.hostPort === other.hostPort &&
  one.protocol === other.protocol &&
  addressesMeet(one.hostIp, other.hostIp);

function checkPort({ protocol, hostIp, hostPort, containerPort, count }: PublishedPort): PublishedPort {
  const most = Math.max(hostPort, containerPort) + count - 1;
  if (!inRange(containerPort, 1)) throw badNumber(containerPort, 'it is not between 1 and 65535');
  if (!inRange(hostPort, 0)) throw badNumber(hostPort, 'it is not between 0 and 65535');
  if (!inRange(most, 1)) throw badNumber(most, 'the range goes beyond 65535');
  return { protocol, hostIp: usualAddress(hostIp), hostPort, containerPort, count };
}

const badNumber = (port: number, why: string): Error => invalid('port', String(port), why);

function usualAddress(text: string): string {
  if (text === '') return '';
  const family = isIP(text);
  const bad = (why: string): Error =>
    invalid('address of the host', text, why, { hint: 'for example 127.0.0.1' });
  if (family === 0 || text.includes('%')) throw bad('it is not an IP address');
  const address = family === 4 ? text : new URL(`http://[${text}]`).hostname.slice(1, -1);
  if (address.startsWith('::ffff:')) throw bad('it is an IPv4 address in the form of IPv6');
  if (family === 4 ? Number(address.split('.')[0]) >= 224 : address.startsWith('ff'))
    throw bad('no host has it');
  return address;
}

/** @throws MydockerError `invalid-argument` where nothing could lead to the container. */
export function checkPortsAndNetwork(
  { network, ports = [], publishAll }: ContainerConfig,
  verb = 'create',
): void {
  if (ports.length === 0 && publishAll !== true) return;
  if (network === 'networks' || network === 'host') return;
  throw invalidArgument(
    `cannot ${verb} container: ports are published, and ${network === 'none' ? 'it has no network' : 'its network is another container’s'}`,
    {
      reason: 'PORTS_WITHOUT_NETWORK',
      hint:
        network === 'none'
          ? 'leave out --network none, or the ports'
          : 'publish them with the container whose network it is',
    },
  );
}

/** All ports that a container publishes: those of its configuration, and with publishAll the exposed ones. */
export function wantedPorts({
  network,
  ports = [],
  publishAll,
  exposedPorts = [],
}: ContainerConfig): PublishedPort[] {
  if (network !== 'networks') return [];
  if (publishAll !== true) return singlePorts(ports);
  const given = singlePorts(ports);
  const more = exposedPorts
    .flatMap(readExposed)
    .filter(
      (one) =>
        !given.some((port) => port.protocol === one.protocol && port.containerPort === one.containerPort),
    );
  return [...given, ...more].slice(0, MAX_PUBLISHED);
}

/** What cannot be read is left out: the image says it. */
function readExposed(text: string): PublishedPort[] {
  const [, first, last, name = 'tcp'] = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(text) ?? [];
  const count = Number(last ?? first) - Number(first) + 1;
  if (first === undefined || count < 1 || !inRange(Number(first), 1) || !inRange(Number(last ?? first), 1))
    return [];
  return singlePorts([
    { protocol: name as PortProtocol, hostIp: '', hostPort: 0, containerPort: Number(first), count },
  ]);
}

/** Published ports as elements of the maps in the instance's table: a port is an element, never a rule. */
import type { PortProtocol, PublishedPort } from '../model/port.ts';

/**
 * Maps of the table: `any` for ports on all addresses of a family, `at` for those on one address.
 * The keys are `tcp . 8080` and `192.0.2.2 . tcp . 8080`, the values `10.20.30.2 . 80`.
 */
export const PORT_MAPS = {
  any4: 'inet_proto . inet_service : ipv4_addr . inet_service',
  at4: 'ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service',
  any6: 'inet_proto . inet_service : ipv6_addr . inet_service',
  at6: 'ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service',
} as const;

/** An address and a port; `''`: all addresses. */
export interface PortAddress {
  readonly address: string;
  readonly port: number;
}

export interface PortElement {
  readonly map: keyof typeof PORT_MAPS;
  readonly protocol: PortProtocol;
  readonly host: PortAddress;
  readonly to: PortAddress;
  /** That the container stands in. */
  readonly bridge: string;
}

/** `tcp . 8080`, `192.0.2.2 . tcp . 8080` */
export const elementKey = ({ protocol, host }: PortElement): string =>
  `${host.address === '' ? '' : `${host.address} . `}${protocol} . ${host.port}`;

/** `10.20.30.2 . 80` */
export const elementValue = ({ to }: PortElement): string => `${to.address} . ${to.port}`;

/** An address of a container, and the bridge that it stands in with it. */
export interface Destination {
  readonly address: string;
  readonly bridge: string;
}

/** Addresses of a container that ports may lead to. */
export interface PortTargets {
  readonly ipv4?: Destination;
  readonly ipv6?: Destination;
}

/** @param ports - single ones, with the host's. */
export function portElements(ports: readonly PublishedPort[], { ipv4, ipv6 }: PortTargets): PortElement[] {
  return ports.flatMap((port) => {
    const { hostIp } = port;
    const isSix = hostIp.includes(':');
    return [
      ...(ipv4 === undefined || isSix ? [] : [element(port, hostIp === '0.0.0.0' ? '' : hostIp, 4, ipv4)]),
      // The kernel leads ::1 nowhere else.
      ...(ipv6 === undefined || hostIp === '::1' || (hostIp !== '' && !isSix)
        ? []
        : [element(port, hostIp === '::' ? '' : hostIp, 6, ipv6)]),
    ];
  });
}

function element(
  { protocol, hostPort, containerPort }: PublishedPort,
  address: string,
  family: 4 | 6,
  to: Destination,
): PortElement {
  return {
    map: `${address === '' ? 'any' : 'at'}${family}`,
    protocol,
    host: { address, port: hostPort },
    to: { address: to.address, port: containerPort },
    bridge: to.bridge,
  };
}

/** Whether the host's own 127.0.0.1 leads to it: its bridge must then let such packets through. */
export const usesLoopback = ({ map, host }: PortElement): boolean =>
  map === 'any4' || (map === 'at4' && host.address.startsWith('127.'));

/** One line of a script for each map. */
export function elementLines(
  verb: 'add' | 'delete',
  table: string,
  elements: readonly PortElement[],
): string {
  const maps = Object.keys(PORT_MAPS) as (keyof typeof PORT_MAPS)[];
  return maps
    .map((map) => {
      const words = elements
        .filter((one) => one.map === map)
        .map((one) => (verb === 'add' ? `${elementKey(one)} : ${elementValue(one)}` : elementKey(one)));
      return words.length === 0 ? '' : `${verb} element inet ${table} ${map} { ${words.join(', ')} }\n`;
    })
    .join('');
}

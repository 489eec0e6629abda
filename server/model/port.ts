/** Published ports: which ports of the host lead to which ports of a container. */

export type PortProtocol = 'tcp' | 'udp' | 'sctp';

/** Consecutive ports of the host that lead to as many of a container, one to one. */
export interface PublishedPort {
  readonly protocol: PortProtocol;
  /** An address of the host in its usual spelling; `''`: all of both families; `0.0.0.0`, `::`: all of one. */
  readonly hostIp: string;
  /** First one; 0: a free one is picked at the start. */
  readonly hostPort: number;
  /** First one. */
  readonly containerPort: number;
  /** How many, at least 1. */
  readonly count: number;
}

export const MAX_PORT = 65_535;
/** Most ports that one container publishes: each is an element of a map and a socket of the server. */
export const MAX_PUBLISHED = 1024;

/** Each port by itself. */
export function singlePorts(ports: readonly PublishedPort[]): PublishedPort[] {
  return ports.flatMap((port) =>
    Array.from({ length: port.count }, (_, n) => ({
      ...port,
      hostPort: port.hostPort === 0 ? 0 : port.hostPort + n,
      containerPort: port.containerPort + n,
      count: 1,
    })),
  );
}

/** Ports that stand one behind the other as one range again. */
export function joinPorts(ports: readonly PublishedPort[]): PublishedPort[] {
  const joined: PublishedPort[] = [];
  for (const port of ports) {
    const last = joined.at(-1);
    const follows =
      last !== undefined &&
      last.hostPort !== 0 &&
      last.protocol === port.protocol &&
      last.hostIp === port.hostIp &&
      last.hostPort + last.count === port.hostPort &&
      last.containerPort + last.count === port.containerPort;
    if (follows) joined[joined.length - 1] = { ...last, count: last.count + port.count };
    else joined.push(port);
  }
  return joined;
}

const isWild = (ip: string): boolean => ip === '' || ip === '0.0.0.0' || ip === '::';
const familyOf = (ip: string): 4 | 6 | 0 => (ip === '' ? 0 : ip.includes(':') ? 6 : 4);

/** Whether two addresses of the host, as they are published on, have one in common. */
export function addressesMeet(one: string, other: string): boolean {
  if (one === other) return true;
  const [a, b] = [familyOf(one), familyOf(other)];
  return (a === 0 || b === 0 || a === b) && (isWild(one) || isWild(other));
}

/** `8080`, `127.0.0.1:53/udp`, `[::1]:80`: for messages. */
export function portText({ protocol, hostIp, hostPort }: PublishedPort): string {
  const address = hostIp === '' ? '' : `${hostIp.includes(':') ? `[${hostIp}]` : hostIp}:`;
  return `${address}${hostPort}/${protocol}`;
}

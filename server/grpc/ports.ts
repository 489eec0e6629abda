/** Ports that a service listens on: text in configurations, numbers on the wire. */
import { type ExposedPort, PortProtocol } from '../../proto/gen/mydocker/v1/types.ts';

const PROTOCOL: Readonly<Record<PortProtocol, string>> = {
  [PortProtocol.UNSPECIFIED]: 'tcp',
  [PortProtocol.TCP]: 'tcp',
  [PortProtocol.UDP]: 'udp',
  [PortProtocol.SCTP]: 'sctp',
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
  const protocol = { tcp: PortProtocol.TCP, udp: PortProtocol.UDP, sctp: PortProtocol.SCTP }[name];
  const count = Number(last ?? first) - Number(first) + 1;
  return [{ containerPort: Number(first), count, protocol: protocol ?? PortProtocol.TCP }];
}

/** `--publish` and `--expose`: which ports, in Docker's spelling. */
import { type ExposedPort, type PortMapping, PortProtocol } from '../../proto/gen/mydocker/v1/types.ts';
import { UsageError } from '../usage-error.ts';

const PROTOCOLS: Readonly<Record<string, PortProtocol>> = {
  tcp: PortProtocol.TCP,
  udp: PortProtocol.UDP,
  sctp: PortProtocol.SCTP,
};
const MAX_PORT = 65_535;

/** A first port and how many. */
interface Range {
  readonly first: number;
  readonly count: number;
}

function bad(option: string, text: string, why: string): UsageError {
  const form =
    option === '--expose' ? 'PORT[-END][/PROTOCOL]' : '[IP:][HOST[-END]:]CONTAINER[-END][/PROTOCOL]';
  return new UsageError(`invalid port ${JSON.stringify(text)} for ${option}: ${why}`, {
    hint: `the form is ${form}`,
  });
}

function parseRange(option: string, text: string, part: string): Range {
  const [, first, last] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part) ?? [];
  if (first === undefined) throw bad(option, text, `${JSON.stringify(part)} is no port`);
  const end = Number(last ?? first);
  if (Number(first) > MAX_PORT || end > MAX_PORT) throw bad(option, text, 'ports end at 65535');
  if (end < Number(first)) throw bad(option, text, 'the range ends before it begins');
  return { first: Number(first), count: end - Number(first) + 1 };
}

function splitProtocol(option: string, text: string): { rest: string; protocol: PortProtocol } {
  const [rest = '', name = 'tcp', ...more] = text.split('/');
  const protocol = PROTOCOLS[name.toLowerCase()];
  if (protocol === undefined || more.length > 0) throw bad(option, text, 'the protocol is tcp, udp or sctp');
  return { rest, protocol };
}

/** The address before the ports; IPv6 stands in brackets. */
function splitAddress(option: string, text: string, rest: string): { hostIp: string; ports: string[] } {
  const [, six, behind] = /^\[([0-9a-fA-F:.]+)\]:(.*)$/.exec(rest) ?? [];
  if (six !== undefined) return { hostIp: six, ports: (behind ?? '').split(':') };
  const parts = rest.split(':');
  if (parts.length > 3) throw bad(option, text, 'an IPv6 address stands in brackets');
  return parts.length === 3
    ? { hostIp: parts[0] ?? '', ports: parts.slice(1) }
    : { hostIp: '', ports: parts };
}

/**
 * One `--publish`. Without a port of the host the server picks one for each.
 * @throws UsageError
 */
export function parsePublish(text: string, option = '--publish'): PortMapping[] {
  const { rest, protocol } = splitProtocol(option, text);
  const { hostIp, ports } = splitAddress(option, text, rest);
  const [host, inside] = ports.length > 1 ? ports : ['', ports[0]];
  if (ports.length > 2) throw bad(option, text, 'there are more than two ports');
  const { first: containerPort, count } = parseRange(option, text, inside ?? '');
  if (containerPort === 0) throw bad(option, text, 'a container has no port 0');
  const outside = host === '' || host === undefined ? undefined : parseRange(option, text, host);
  if (outside === undefined || (outside.first === 0 && outside.count === 1))
    return Array.from({ length: count }, (_, n) => ({
      ...{ hostIp, hostPort: 0, containerPort: containerPort + n, count: 1, protocol },
    }));
  if (outside.count !== count) throw bad(option, text, 'the two ranges have different lengths');
  return [{ hostIp, hostPort: outside.first, containerPort, count, protocol }];
}

/** One `--expose`. @throws UsageError */
export function parseExpose(text: string): ExposedPort {
  const { rest, protocol } = splitProtocol('--expose', text);
  const { first, count } = parseRange('--expose', text, rest);
  if (first === 0) throw bad('--expose', text, 'a container has no port 0');
  return { containerPort: first, count, protocol };
}

/** `NetworkSettings` of a container: its addresses and ports. */
import type { Container } from '../../proto/gen/mydocker/v1/containers.ts';
import type { NetworkEndpoint, PortMapping } from '../../proto/gen/mydocker/v1/types.ts';
import { portKeys, protocolName } from './docker-parts.ts';
import { goMap, listOrNil, NIL_LIST, NIL_MAP } from './go-values.ts';

/** Names that the server gives its default network. */
const DEFAULT_NAME = /^(?:default|mydocker0|mydocker-[0-9a-f]{6})$/;

/** Whether a network's name is that of the default one. */
export function isDefaultNetwork(name: string): boolean {
  return DEFAULT_NAME.test(name);
}

interface Binding {
  readonly HostIp: string;
  readonly HostPort: string;
}

/** @returns fields in Docker's order; those of its first network stand outside of `Networks` too. */
export function dockerNetworkSettings(container: Container): Readonly<Record<string, unknown>> {
  const { endpoints, run } = container;
  const [first] = endpoints;
  const { Gateway, GlobalIPv6Address, GlobalIPv6PrefixLen, IPAddress, IPPrefixLen, IPv6Gateway, MacAddress } =
    place(first);
  const pid = run?.pid ?? 0;
  return {
    Bridge: '',
    SandboxID: run?.runId ?? '',
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    Ports: goMap(portEntries(container)),
    SandboxKey: pid === 0 ? '' : `/proc/${pid}/ns/net`,
    SecondaryIPAddresses: NIL_LIST,
    SecondaryIPv6Addresses: NIL_LIST,
    EndpointID: first === undefined ? '' : endpointId(first),
    Gateway,
    GlobalIPv6Address,
    GlobalIPv6PrefixLen,
    IPAddress,
    IPPrefixLen,
    IPv6Gateway,
    MacAddress,
    Networks: networks(endpoints),
  };
}

/** By name. Scripts ask for `.Networks.bridge`, which leads to the default network too and is not listed twice. */
function networks(endpoints: readonly NetworkEndpoint[]): Readonly<Record<string, object>> {
  const map = goMap<object>(
    endpoints.map(
      (endpoint) =>
        [
          endpoint.network,
          {
            IPAMConfig: null,
            Links: NIL_LIST,
            Aliases: listOrNil(endpoint.aliases),
            NetworkID: endpoint.networkId,
            EndpointID: endpointId(endpoint),
            ...place(endpoint),
            DriverOpts: NIL_MAP,
          },
        ] as const,
    ),
  );
  const own = endpoints.find(({ network }) => isDefaultNetwork(network));
  if (own !== undefined && !Object.hasOwn(map, 'bridge'))
    Object.defineProperty(map, 'bridge', { value: map[own.network], enumerable: false });
  return map;
}

/** Each port of the container with the host's that lead to it. */
export function publishedPortMap(
  ports: readonly PortMapping[],
): Readonly<Record<string, readonly Binding[]>> {
  const found = new Map<string, Binding[]>();
  for (const { hostIp, hostPort, containerPort, count, protocol } of ports) {
    for (let index = 0; index < Math.max(count, 1); index += 1) {
      const key = `${containerPort + index}/${protocolName(protocol)}`;
      const binding = { HostIp: hostIp, HostPort: hostPort === 0 ? '' : String(hostPort + index) };
      found.set(key, [...(found.get(key) ?? []), binding]);
    }
  }
  return goMap(found);
}

/** Published ones, and those that it listens on, with null. */
function portEntries({ config, ports }: Container): [string, readonly Binding[]][] {
  const published = publishedPortMap(ports);
  const others = (config?.network?.exposedPorts ?? [])
    .flatMap(portKeys)
    .filter((key) => !Object.hasOwn(published, key));
  return [
    ...others.map((key): [string, readonly Binding[]] => [key, NIL_LIST]),
    ...Object.entries(published),
  ];
}

/** There is no other id of a place than whose it is and where. */
function endpointId({ networkId, containerId }: NetworkEndpoint): string {
  return `${networkId.slice(0, 32)}${containerId.slice(0, 32)}`;
}

interface Place {
  readonly Gateway: string;
  readonly IPAddress: string;
  readonly IPPrefixLen: number;
  readonly IPv6Gateway: string;
  readonly GlobalIPv6Address: string;
  readonly GlobalIPv6PrefixLen: number;
  readonly MacAddress: string;
}

function place(endpoint: NetworkEndpoint | undefined): Place {
  const [address = '', prefix = '0'] = (endpoint?.ipv4Address ?? '').split('/');
  const [address6 = '', prefix6 = '0'] = (endpoint?.ipv6Address ?? '').split('/');
  return {
    Gateway: endpoint?.ipv4Gateway ?? '',
    IPAddress: address,
    IPPrefixLen: Number(prefix),
    IPv6Gateway: endpoint?.ipv6Gateway ?? '',
    GlobalIPv6Address: address6,
    GlobalIPv6PrefixLen: Number(prefix6),
    MacAddress: endpoint?.macAddress ?? '',
  };
}

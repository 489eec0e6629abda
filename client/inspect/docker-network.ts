/** A network as `docker network inspect` prints it. Source: Docker Engine API, NetworkInspect; names only. */
import type { Network } from '../../proto/gen/mydocker/v1/networks.ts';
import { goMap, goTime, NIL_MAP } from './go-values.ts';

/** @returns a value for JSON and templates. */
export function dockerNetwork(network: Network): Readonly<Record<string, unknown>> {
  return {
    Name: network.name,
    Id: network.id,
    Created: goTime(network.createdAt),
    Scope: 'local',
    Driver: network.driver,
    EnableIPv6: network.ipv6,
    IPAM: {
      Driver: 'default',
      Options: NIL_MAP,
      Config: network.subnets.map(({ cidr, gateway, ipRange }) => ({
        Subnet: cidr,
        IPRange: ipRange || undefined,
        Gateway: gateway,
      })),
    },
    Internal: network.internal,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: goMap(
      network.endpoints.map(
        (endpoint) =>
          [
            endpoint.containerId,
            {
              Name: endpoint.containerName,
              EndpointID: `${endpoint.networkId.slice(0, 32)}${endpoint.containerId.slice(0, 32)}`,
              MacAddress: endpoint.macAddress,
              IPv4Address: endpoint.ipv4Address,
              IPv6Address: endpoint.ipv6Address,
            },
          ] as const,
      ),
    ),
    Options: goMap(Object.entries(network.options)),
    Labels: goMap(Object.entries(network.labels)),
    Mydocker: {
      Rev: Number(network.rev),
      IsDefault: network.isDefault,
      HostInterface: network.hostInterface,
      Endpoints: network.endpointCount,
    },
  };
}

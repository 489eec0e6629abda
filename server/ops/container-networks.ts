/** A container's places in networks as lists and inspect show them. */
import type { ContainerRecord } from '../model/container.ts';
import { shortId } from '../model/ids.ts';
import {
  type Endpoint,
  type GivenPart,
  hostInterface,
  interfaceOf,
  type NetworkRecord,
} from '../model/network.ts';
import { isAlive } from '../model/task-state.ts';
import { parseSubnet } from '../network/ip.ts';
import type { Engine } from './engine.ts';

/** A container in a network. */
export interface PlaceView {
  readonly networkId: string;
  readonly network: string;
  readonly containerId: string;
  readonly containerName: string;
  readonly interfaceName: string;
  /** `''` while it does not run. */
  readonly hostInterface: string;
  /** `10.20.30.2/24` */
  readonly ipv4Address: string;
  /** `''`: none. */
  readonly ipv6Address: string;
  readonly macAddress: string;
  /** `''`: it leads nowhere. */
  readonly ipv4Gateway: string;
  readonly ipv6Gateway: string;
  readonly aliases: readonly string[];
  /** What of it somebody asked for. */
  readonly given: readonly GivenPart[];
}

/** The places of one container; of a network whose record was lost nothing is known. */
export function placesOf({ store }: Pick<Engine, 'store'>, record: ContainerRecord): PlaceView[] {
  return (record.endpoints ?? []).flatMap((endpoint) => {
    const network = store.networks.get(endpoint.networkId);
    return network === undefined ? [] : [viewOf(record, network, endpoint)];
  });
}

function viewOf(record: ContainerRecord, network: NetworkRecord, endpoint: Endpoint): PlaceView {
  const { run } = record;
  const { ipv4, ipv6, mac, aliases = [], given = [] } = endpoint;
  const { internal = false, gateway, subnet, ipv6: other } = network;
  const withPrefix = (address: string, cidr: string): string => `${address}/${parseSubnet(cidr).prefix}`;
  return {
    networkId: network.id,
    network: network.name,
    containerId: record.id,
    containerName: record.name,
    interfaceName: interfaceOf(endpoint),
    hostInterface: isAlive(record.status) && run !== undefined ? hostInterface(run.runId, endpoint) : '',
    ipv4Address: withPrefix(ipv4, subnet),
    ipv6Address: ipv6 === undefined || other === undefined ? '' : withPrefix(ipv6, other.subnet),
    macAddress: mac,
    ipv4Gateway: internal ? '' : gateway,
    ipv6Gateway: internal || ipv6 === undefined ? '' : (other?.gateway ?? ''),
    aliases,
    given,
  };
}

/** What a container's networks are called: `none`, `host`, `container:<id>`, or the names of those that it stands in. */
export function networkNames(engine: Pick<Engine, 'store'>, record: ContainerRecord): string[] {
  const { network } = record.config;
  if (network === 'networks') return placesOf(engine, record).map((place) => place.network);
  const shared = record.config.namespaces?.network;
  return [shared?.kind === 'container' ? `container:${shortId(shared.container)}` : network];
}

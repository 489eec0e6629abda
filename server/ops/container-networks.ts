/** A container's places in networks as lists and inspect show them. */
import type { ContainerRecord } from '../model/container.ts';
import { shortId } from '../model/ids.ts';
import { CONTAINER_INTERFACE, hostInterface, type NetworkRecord } from '../model/network.ts';
import { isAlive } from '../model/task-state.ts';
import { parseSubnet } from '../network/ipv4.ts';
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
  readonly macAddress: string;
  readonly ipv4Gateway: string;
}

/** The places of one container; of a network whose record was lost nothing is known. */
export function placesOf({ store }: Pick<Engine, 'store'>, record: ContainerRecord): PlaceView[] {
  return (record.endpoints ?? []).flatMap(({ networkId, ipv4, mac }) => {
    const network = store.networks.get(networkId);
    return network === undefined ? [] : [viewOf(record, network, ipv4, mac)];
  });
}

function viewOf(record: ContainerRecord, network: NetworkRecord, ipv4: string, mac: string): PlaceView {
  const { run } = record;
  return {
    networkId: network.id,
    network: network.name,
    containerId: record.id,
    containerName: record.name,
    interfaceName: CONTAINER_INTERFACE,
    hostInterface: isAlive(record.status) && run !== undefined ? hostInterface(run.runId) : '',
    ipv4Address: `${ipv4}/${parseSubnet(network.subnet).prefix}`,
    macAddress: mac,
    ipv4Gateway: network.gateway,
  };
}

/** What a container's networks are called: `none`, `host`, `container:<id>`, or the names of those that it stands in. */
export function networkNames(engine: Pick<Engine, 'store'>, record: ContainerRecord): string[] {
  const { network } = record.config;
  if (network === 'networks') return placesOf(engine, record).map((place) => place.network);
  const shared = record.config.namespaces?.network;
  return [shared?.kind === 'container' ? `container:${shortId(shared.container)}` : network];
}

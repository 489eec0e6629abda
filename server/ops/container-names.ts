/**
 * Names that containers know each other by: within the networks that are somebody's own, and while they run. What DNS
 * answers is decided here, and what /etc/resolv.conf says about it.
 */
import type { ContainerRecord } from '../model/container.ts';
import { shortId } from '../model/ids.ts';
import { type Endpoint, type NetworkRecord, wayOut } from '../model/network.ts';
import { isAlive } from '../model/task-state.ts';
import { type Address, formatAddress, parseAddress } from '../network/ip.ts';
import type { Asker, FindAsker } from '../network/resolver.ts';
import { containersIn } from './container-places.ts';
import { defaultNetworkId } from './default-network.ts';
import type { Engine } from './engine.ts';
import { hostDns } from './resolv-conf.ts';

type Host = Pick<Engine, 'store' | 'instance'>;

/** Who asks, by the network that the question came in by and the address that it came from. */
export function findAsker(engine: Host): FindAsker {
  return (networkId, address) => {
    const asker = containersIn(engine, networkId).find(({ endpoints }) =>
      endpoints?.some((endpoint) => endpoint.networkId === networkId && endpoint.ipv4 === address),
    );
    return asker === undefined ? undefined : askerOf(engine, asker);
  };
}

function askerOf(engine: Host, { endpoints = [], config }: ContainerRecord): Asker {
  const networks = endpoints.flatMap(({ networkId }) => engine.store.networks.get(networkId) ?? []);
  // The default network has no names, as with Docker.
  const named = networks.map(({ id }) => id).filter((id) => id !== defaultNetworkId(engine));
  const given = config.dns?.servers ?? [];
  const usual = (): readonly string[] => (given.length > 0 ? given : hostDns().servers);
  return {
    addressesOf: (name) => {
      const found = neighbours(engine, named).filter(({ container, endpoint }) =>
        namesOf(container, endpoint).some((own) => own.toLowerCase() === name),
      );
      return found.length === 0 ? undefined : found.flatMap(({ endpoint }) => addressesOf(endpoint));
    },
    nameOf: (text) => {
      const address = usualSpelling(text);
      return neighbours(engine, named).find(
        ({ endpoint }) => endpoint.ipv4 === address || endpoint.ipv6 === address,
      )?.container.name;
    },
    servers: () => (wayOut(networks) === undefined ? [] : usual()),
  };
}

interface Neighbour {
  readonly container: ContainerRecord;
  readonly endpoint: Endpoint;
}

function neighbours({ store }: Pick<Engine, 'store'>, networkIds: readonly string[]): Neighbour[] {
  return networkIds.flatMap((id) =>
    containersIn({ store }, id)
      .filter(({ status }) => isAlive(status))
      .flatMap((container) =>
        (container.endpoints ?? [])
          .filter(({ networkId }) => networkId === id)
          .map((endpoint) => ({ container, endpoint })),
      ),
  );
}

/** What a container is called in one network. */
export const namesOf = ({ id, name }: ContainerRecord, { aliases = [] }: Endpoint): string[] => [
  ...new Set([name, shortId(id), ...aliases]),
];

const addressesOf = ({ ipv4, ipv6 }: Endpoint): Address[] =>
  [ipv4, ...(ipv6 === undefined ? [] : [ipv6])].map(parseAddress);

function usualSpelling(text: string): string {
  try {
    return formatAddress(parseAddress(text));
  } catch {
    return '';
  }
}

/**
 * Where a container's questions go: the first of its networks in which somebody answers for names.
 * @returns the gateway's address there; undefined where it asks the host's servers itself.
 */
export function nameServerOf(
  engine: Pick<Engine, 'store' | 'instance' | 'networks'>,
  endpoints: readonly Endpoint[],
): string | undefined {
  const networks: NetworkRecord[] = endpoints.flatMap(
    ({ networkId }) => engine.store.networks.get(networkId) ?? [],
  );
  return networks.find(({ id }) => engine.networks.resolver.isServing(id))?.gateway;
}

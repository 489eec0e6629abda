/** A subnet for a network that asked for none, out of the server's pools. */
import { failedPrecondition } from '../model/error.ts';
import type { NetworkRecord, NetworkSubnet } from '../model/network.ts';
import { type Family, formatAddress, parseSubnet } from '../network/ip.ts';
import { chooseSubnet, localPool6, type Occupied, occupiedByHost } from '../network/subnets.ts';
import type { Engine } from './engine.ts';

type Host = Pick<Engine, 'store' | 'instance' | 'networks'>;

/** What nobody else can have any more: subnets of the networks first, then of the host. */
export function occupied({ store }: Pick<Engine, 'store'>): Occupied[] {
  const networks = store.networks.list();
  const own = networks.flatMap(({ name, subnet, ipv6 }) =>
    [subnet, ...(ipv6 === undefined ? [] : [ipv6.subnet])].map((text) => ({
      subnet: parseSubnet(text),
      by: `network ${name}`,
    })),
  );
  return [...own, ...occupiedByHost(new Set(networks.map(({ bridge }: NetworkRecord) => bridge)))];
}

/** The address of the bridge where nobody asked for another one: the first. */
function firstGateway(subnet: string): string {
  const { family, base } = parseSubnet(subnet);
  return formatAddress({ family, value: base + 1n });
}

/**
 * @param whose - for the error: `network lan`.
 * @throws MydockerError `failed-precondition` where the machine's own routes lead to all of the pools.
 */
export function freeSubnet(engine: Host, family: Family, whose: string): NetworkSubnet {
  const { instance, networks } = engine;
  const given = networks.pools.filter((pool) => parseSubnet(pool).family === family);
  const pools = given.length === 0 && family === 6 ? [localPool6(instance)] : given;
  const isDefault = networks.isDefaultRoot;
  const subnet = chooseSubnet(pools, family, { instance, isDefault }, occupied(engine));
  if (subnet !== undefined) return { subnet, gateway: firstGateway(subnet) };
  throw failedPrecondition(
    `cannot make ${whose}: networks and the machine’s own routes have all of ${pools.join(', ')}`,
    {
      reason: 'SUBNET_OVERLAP',
      hint: 'give a subnet with --subnet, use --network none or host, or give the server another pool',
    },
  );
}

/** How a network comes to be: a record. What it needs on the host is made with the first container in it. */

import { failpoint } from '../failpoint.ts';
import { alreadyExists, failedPrecondition, invalidArgument } from '../model/error.ts';
import { newId } from '../model/ids.ts';
import type { NetworkRecord, NetworkSubnet } from '../model/network.ts';
import { parseNetworkName } from '../model/network-name.ts';
import { checkSubnet, type WantedSubnet } from '../network/check-subnet.ts';
import { driverOf, LEAST_MTU6 } from '../network/driver.ts';
import { indexOf } from '../network/host-state.ts';
import { type Family, overlap, parseSubnet } from '../network/ip.ts';
import { ensureDefaultNetwork } from './default-network.ts';
import type { Engine } from './engine.ts';
import { freeSubnet, occupied } from './free-subnet.ts';
import { networkEvent } from './network-event.ts';

export interface CreateNetworkRequest {
  readonly name: string;
  /** `''`: bridge. */
  readonly driver: string;
  /** At most one of each family. */
  readonly subnets: readonly WantedSubnet[];
  readonly ipv6: boolean;
  readonly internal: boolean;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** Creates wait for each other, so that no two choose the same name or subnet. */
const ALL = 'all';

/**
 * Records a network.
 * @throws MydockerError `invalid-argument`, `already-exists` for a name, `failed-precondition` for a subnet that a
 * network, address or route has.
 */
export async function createNetwork(engine: Engine, request: CreateNetworkRequest): Promise<NetworkRecord> {
  const name = parseNetworkName(request.name);
  const driver = driverOf(request.driver);
  const settings = driver.validate(request.options);
  const wanted = request.subnets.map(checkSubnet);
  const [v4, v6] = ([4, 6] as const).map((family) => onlyOne(wanted, family));
  const hasIpv6 = request.ipv6 || v6 !== undefined;
  if (hasIpv6 && settings.mtu !== undefined && settings.mtu < LEAST_MTU6)
    throw invalidArgument(`invalid network option mtu: IPv6 needs at least ${LEAST_MTU6}`, {
      reason: 'NETWORK_OPTION_INVALID',
    });
  // It has its subnet first.
  await ensureDefaultNetwork(engine);
  return await engine.queues.run('network', ALL, async () => {
    const { networks } = engine.store;
    if (networks.list().some((network) => network.name === name))
      throw alreadyExists('network', name, 'a network has this name', { reason: 'NAME_IN_USE' });
    for (const { subnet } of wanted) refuseOccupied(engine, name, subnet);
    const whose = `network ${name}`;
    const id = newId();
    const record: NetworkRecord = {
      ...{ v: 1, rev: 0n, createdAt: 0n, updatedAt: 0n, id, name, bridge: bridgeName(engine, id) },
      ...(v4 ?? freeSubnet(engine, 4, whose)),
      ...(hasIpv6 ? { ipv6: v6 ?? freeSubnet(engine, 6, whose) } : {}),
      ...(request.internal ? { internal: true } : {}),
      ...settings,
      ...(Object.keys(request.options).length === 0 ? {} : { options: request.options }),
      ...(Object.keys(request.labels).length === 0 ? {} : { labels: request.labels }),
    };
    await failpoint('network.create');
    return await networks.put(record, { event: networkEvent(record, 'create') });
  });
}

function onlyOne(wanted: readonly NetworkSubnet[], family: Family): NetworkSubnet | undefined {
  const [first, second] = wanted.filter(({ subnet }) => parseSubnet(subnet).family === family);
  if (second === undefined) return first;
  throw invalidArgument(`invalid subnet ${second.subnet}: a network has one of IPv${family}`, {
    reason: 'SUBNET_INVALID',
    hint: 'make two networks; a container can stand in both',
  });
}

/** By a network sooner than by its bridge. */
function refuseOccupied(engine: Engine, name: string, subnet: string): void {
  const wanted = parseSubnet(subnet);
  const other = occupied(engine).find((one) => overlap(one.subnet, wanted));
  if (other === undefined) return;
  throw failedPrecondition(`cannot create network ${name}: the subnet ${subnet} overlaps with ${other.by}`, {
    reason: 'SUBNET_OVERLAP',
    hint: 'choose another subnet, or leave it out: a free one is found',
    metadata: { subnet, by: other.by },
  });
}

/** 15 characters, all that an interface's name may have; that of no other interface of the host. */
function bridgeName({ instance, store }: Engine, id: string): string {
  for (let at = 0; ; at += 1) {
    const name = `md${instance.slice(0, 6)}-${id.slice(at, at + 6)}`;
    if (indexOf(name) === 0 && !store.networks.list().some(({ bridge }) => bridge === name)) return name;
  }
}

/**
 * Which address a container has in which network. The containers' records are the only truth: an address is in
 * use when a record has it, or while the record that will have it is being written. Nothing has to be given
 * back, so nothing can leak.
 */
import type { ContainerRecord } from '../model/container.ts';
import { resourceExhausted } from '../model/error.ts';
import { type Endpoint, hostInterface, type NetworkRecord } from '../model/network.ts';
import type { NetworkPart, SlotAllocator } from '../model/plan.ts';
import { contains, formatIpv4, lowestFree, macOf, parseIpv4, parseSubnet } from '../network/ipv4.ts';
import { LOOPBACK_ONLY, NO_NETWORK, planVeth } from '../network/veth.ts';
import { ensureDefaultNetwork } from './default-network.ts';
import type { Engine } from './engine.ts';

type Host = Pick<Engine, 'store' | 'queues' | 'instance' | 'networks'>;

/** Addresses of containers whose record is not written yet. */
export class HeldAddresses {
  readonly #held = new Map<string, Set<number>>();

  of(networkId: string): ReadonlySet<number> {
    return this.#held.get(networkId) ?? new Set();
  }

  /** Holds an address until disposed of. */
  hold(networkId: string, address: number): Disposable {
    const held = this.#held.get(networkId) ?? new Set();
    this.#held.set(networkId, held.add(address));
    return { [Symbol.dispose]: () => void held.delete(address) };
  }
}

/** Places that nobody else gets until disposed of; a record that has them keeps them. */
export interface Places extends Disposable {
  /** Absent for a container without networks of its own. */
  readonly endpoints?: readonly Endpoint[];
}

const NOWHERE: Places = { [Symbol.dispose]: () => undefined };

type Placed = Pick<ContainerRecord, 'id' | 'config' | 'endpoints'>;

/**
 * The places of a container: those that it has, or new ones.
 * @param container - a record, or what will be one.
 * @throws MydockerError `resource-exhausted` when all addresses are in use, and as ensureDefaultNetwork.
 */
export async function takePlaces(engine: Host, container: Omit<Placed, 'id'>): Promise<Places> {
  if (container.config.network !== 'networks') return NOWHERE;
  const network = await ensureDefaultNetwork(engine);
  const subnet = parseSubnet(network.subnet);
  const has = container.endpoints?.find(({ networkId }) => networkId === network.id);
  if (has !== undefined && contains(subnet, parseIpv4(has.ipv4))) return { ...NOWHERE, endpoints: [has] };
  const address = lowestFree(subnet, takenAddresses(engine, network));
  if (address === undefined) throw full(network);
  const held = engine.networks.held.hold(network.id, address);
  const endpoint = { networkId: network.id, ipv4: formatIpv4(address), mac: macOf(address) };
  return { endpoints: [endpoint], [Symbol.dispose]: () => held[Symbol.dispose]() };
}

function takenAddresses(engine: Host, { id, gateway }: NetworkRecord): Set<number> {
  const taken = new Set(engine.networks.held.of(id));
  taken.add(parseIpv4(gateway));
  for (const { endpoints = [] } of engine.store.containers.list())
    for (const { networkId, ipv4 } of endpoints) if (networkId === id) taken.add(parseIpv4(ipv4));
  return taken;
}

function full({ name, subnet }: NetworkRecord): Error {
  return resourceExhausted(`cannot join network ${name}: all addresses of ${subnet} are in use`, {
    reason: 'ADDRESSES_EXHAUSTED',
    hint: 'remove containers that are not needed: a stopped one keeps its address',
    metadata: { network: name, subnet },
  });
}

/** Containers that have a place in a network. */
export function containersIn(engine: Pick<Engine, 'store'>, networkId: string): ContainerRecord[] {
  return engine.store.containers
    .list()
    .filter(({ endpoints }) => endpoints?.some((endpoint) => endpoint.networkId === networkId));
}

/** Makes sure of the networks that a container stands in. @throws MydockerError `failed-precondition`. */
export async function prepareNetworks(
  engine: Host,
  { endpoints = [] }: Pick<Placed, 'endpoints'>,
): Promise<void> {
  for (const { networkId } of endpoints) {
    const network = engine.store.networks.get(networkId);
    if (network !== undefined) await engine.networks.prepare(network);
  }
}

/** The network of a run as part of its plan. @param runId - names the host's end of its interface. */
export function planNetwork(
  engine: Pick<Engine, 'store'>,
  { config, endpoints }: Pick<Placed, 'config' | 'endpoints'>,
  runId: string,
  slots: SlotAllocator,
): NetworkPart {
  if (config.network === 'host' || config.network === 'container') return NO_NETWORK;
  const [endpoint] = endpoints ?? [];
  const network = endpoint === undefined ? undefined : engine.store.networks.get(endpoint.networkId);
  if (config.network === 'none' || endpoint === undefined || network === undefined) return LOOPBACK_ONLY;
  return planVeth(network, endpoint, hostInterface(runId), slots.take());
}

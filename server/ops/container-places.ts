/**
 * Which address a container has in which network. The containers' records are the only truth: an address is in
 * use when a record has it, or while the record that will have it is being written. Nothing has to be given
 * back, so nothing can leak.
 */
import type { ContainerRecord } from '../model/container.ts';
import { cannot, invalidArgument, notFound } from '../model/error.ts';
import {
  type Attachment,
  type Endpoint,
  freeInterface,
  type GivenPart,
  hostInterface,
  interfaceOf,
  MAX_ENDPOINTS,
  type NetworkRecord,
} from '../model/network.ts';
import type { NetworkPart, Slot, SlotAllocator } from '../model/plan.ts';
import { badWish, chooseAddress } from '../network/choose-address.ts';
import { contains, formatAddress, macOf, parseAddress, parseSubnet } from '../network/ip.ts';
import { LOOPBACK_ONLY, NO_NETWORK, type Plug, planVeths } from '../network/veth.ts';
import { defaultNetworkId, ensureDefaultNetwork, findNetwork } from './default-network.ts';
import type { Engine } from './engine.ts';

type Host = Pick<Engine, 'store' | 'queues' | 'instance' | 'networks'>;

/** Addresses of containers whose record is not written yet. */
export class HeldAddresses {
  readonly #held = new Map<string, Set<string>>();
  readonly #leaving = new Set<string>();

  /** @returns addresses of both families in their usual spelling. */
  of(networkId: string): ReadonlySet<string> {
    return this.#held.get(networkId) ?? new Set();
  }

  /** Holds an address until disposed of. */
  hold(networkId: string, address: string): Disposable {
    const held = this.#held.get(networkId) ?? new Set();
    this.#held.set(networkId, held.add(address));
    return { [Symbol.dispose]: () => void held.delete(address) };
  }

  /** A network that is on its way out: nobody gets a place in it, until disposed of. */
  leave(networkId: string): Disposable {
    this.#leaving.add(networkId);
    return { [Symbol.dispose]: () => void this.#leaving.delete(networkId) };
  }

  isLeaving(networkId: string): boolean {
    return this.#leaving.has(networkId);
  }
}

/** Places that nobody else gets until disposed of; a record that has them keeps them. */
export interface Places extends Disposable {
  /** Absent for a container without networks of its own. */
  readonly endpoints?: readonly Endpoint[];
}

const NOWHERE: Places = { [Symbol.dispose]: () => undefined };

type Placed = Pick<ContainerRecord, 'id' | 'config' | 'endpoints'>;

/** What a container without a wish gets: the default network. */
const USUAL: readonly Attachment[] = [{ network: 'default' }];

/**
 * The places of a container: those that it has, or new ones.
 * @param container - a record, or what will be one.
 * @param wanted - where a new one is to stand; empty: in the default network.
 * @throws MydockerError `resource-exhausted` when all addresses are in use, `already-exists` for an address that
 * another container has, `invalid-argument` for one that the network does not have; and as findNetwork.
 */
export async function takePlaces(
  engine: Host,
  container: Pick<Placed, 'config' | 'endpoints'>,
  wanted: readonly Attachment[] = [],
): Promise<Places> {
  if (container.config.network !== 'networks') return NOWHERE;
  if (container.endpoints !== undefined) return await keepPlaces(engine, container.endpoints);
  const attachments = wanted.length === 0 ? USUAL : wanted;
  if (attachments.length > MAX_ENDPOINTS)
    throw invalidArgument(`invalid networks: there are more than ${MAX_ENDPOINTS}`, {
      reason: 'CONFIG_INVALID',
    });
  const networks: NetworkRecord[] = [];
  for (const { network } of attachments) networks.push(await findNetwork(engine, network));
  using held = new DisposableStack();
  const endpoints: Endpoint[] = [];
  // Without a wait in between: nobody else takes an address meanwhile.
  for (const [n, attachment] of attachments.entries()) {
    const place = takePlace(engine, networks[n] as NetworkRecord, attachment, endpoints);
    held.use(place);
    endpoints.push(place.endpoint);
  }
  const kept = held.move();
  return { endpoints, [Symbol.dispose]: () => kept.dispose() };
}

/** They stay as they are, unless the network came back otherwise after its record was lost. */
async function keepPlaces(engine: Host, endpoints: readonly Endpoint[]): Promise<Places> {
  using held = new DisposableStack();
  const kept: Endpoint[] = [];
  for (const endpoint of endpoints) {
    const network = await networkOf(engine, endpoint);
    const { networkId, ipv4, ipv6, ...rest } = endpoint;
    const isThere =
      contains(parseSubnet(network.subnet), parseAddress(ipv4)) &&
      (ipv6 === undefined) === (network.ipv6 === undefined);
    const attachment = { network: networkId, ...(rest.interfaceName === undefined ? {} : rest) };
    const again = isThere ? undefined : held.use(takePlace(engine, network, attachment, kept));
    kept.push(again?.endpoint ?? endpoint);
  }
  const all = held.move();
  return { endpoints: kept, [Symbol.dispose]: () => all.dispose() };
}

async function networkOf(engine: Host, { networkId }: Endpoint): Promise<NetworkRecord> {
  const found = engine.store.networks.get(networkId);
  if (found !== undefined) return found;
  if (networkId === defaultNetworkId(engine)) return await ensureDefaultNetwork(engine);
  throw cannot('failed-precondition', 'find', 'network', networkId.slice(0, 12), 'its record was lost', {
    reason: 'NETWORK_LOST',
    hint: 'take the container out of it: mydocker network disconnect -f',
  });
}

/** One more place of a container. @param others - those that it has. @throws MydockerError as {@link takePlaces}. */
export function takePlace(
  engine: Pick<Engine, 'store' | 'networks'>,
  network: NetworkRecord,
  attachment: Attachment,
  others: readonly Endpoint[],
): Disposable & { readonly endpoint: Endpoint } {
  if (engine.networks.held.isLeaving(network.id) || engine.store.networks.get(network.id) === undefined)
    throw notFound('network', network.name);
  if (others.some(({ networkId }) => networkId === network.id))
    throw cannot('already-exists', 'join', 'network', network.name, 'the container stands in it already', {
      reason: 'ALREADY_CONNECTED',
    });
  const taken = takenAddresses(engine, network);
  const ipv4 = chooseAddress(network, network, attachment.ipv4, taken);
  const wish6 = attachment.ipv6;
  if (wish6 !== undefined && network.ipv6 === undefined)
    throw badWish(network, wish6, 'the network has no IPv6', 'create it with --ipv6');
  const ipv6 = network.ipv6 === undefined ? undefined : chooseAddress(network, network.ipv6, wish6, taken);
  const interfaceName = attachment.interfaceName ?? freeInterface(others);
  if (others.some((other) => interfaceOf(other) === interfaceName))
    throw badWish(network, interfaceName, 'the container has an interface of this name', 'leave it out');
  const given = (['ipv4', 'ipv6', 'mac', 'interface'] as const).filter(
    (part: GivenPart) => attachment[part === 'interface' ? 'interfaceName' : part] !== undefined,
  );
  const { aliases = [] } = attachment;
  const endpoint: Endpoint = {
    networkId: network.id,
    ipv4: formatAddress(ipv4),
    ...(ipv6 === undefined ? {} : { ipv6: formatAddress(ipv6) }),
    mac: attachment.mac ?? macOf(ipv4),
    ...(interfaceName === interfaceOf({}) ? {} : { interfaceName }),
    ...(aliases.length === 0 ? {} : { aliases }),
    ...(given.length === 0 ? {} : { given }),
  };
  const held = new DisposableStack();
  held.use(engine.networks.held.hold(network.id, endpoint.ipv4));
  if (endpoint.ipv6 !== undefined) held.use(engine.networks.held.hold(network.id, endpoint.ipv6));
  return { endpoint, [Symbol.dispose]: () => held.dispose() };
}

function takenAddresses(engine: Pick<Engine, 'store' | 'networks'>, { id }: NetworkRecord): Set<string> {
  const taken = new Set(engine.networks.held.of(id));
  for (const { endpoints = [] } of engine.store.containers.list())
    for (const { networkId, ipv4, ipv6 } of endpoints) {
      if (networkId !== id) continue;
      taken.add(ipv4);
      if (ipv6 !== undefined) taken.add(ipv6);
    }
  return taken;
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

/** What a run's interfaces are made of; places in a network whose record was lost are left out. */
export function plugsOf(
  { store }: Pick<Engine, 'store'>,
  endpoints: readonly Endpoint[],
  runId: string,
): Plug[] {
  return endpoints.flatMap((endpoint) => {
    const network = store.networks.get(endpoint.networkId);
    return network === undefined ? [] : [{ network, endpoint, hostEnd: hostInterface(runId, endpoint) }];
  });
}

/**
 * The network of a run as part of its plan.
 * @param runId - names the host's ends of its interfaces.
 * @param sys - slot that has its kernel parameters.
 */
export function planNetwork(
  engine: Pick<Engine, 'store'>,
  { config, endpoints = [] }: Pick<Placed, 'config' | 'endpoints'>,
  runId: string,
  sys: Slot,
  slots: SlotAllocator,
): NetworkPart {
  if (config.network === 'host' || config.network === 'container') return NO_NETWORK;
  const plugs = config.network === 'none' ? [] : plugsOf(engine, endpoints, runId);
  return plugs.length === 0 ? LOOPBACK_ONLY : planVeths(plugs, slots.take(), sys);
}

/**
 * Everything that concerns the network of a container, or a network, in words, and whether it is there: what somebody
 * asks who cannot reach something.
 */
import type { ContainerRecord } from '../model/container.ts';
import { type Endpoint, hostInterface, interfaceOf, type NetworkRecord, wayOut } from '../model/network.ts';
import { portText } from '../model/port.ts';
import { isAlive } from '../model/task-state.ts';
import { parseSubnet } from '../network/ip.ts';
import { type Observed, observe, readSysctl } from '../network/observe.ts';
import { tableName } from '../network/rules.ts';
import { nameServerOf, namesOf } from './container-names.ts';
import { containersIn } from './container-places.ts';
import { defaultNetworkId, findNetwork } from './default-network.ts';
import type { Engine } from './engine.ts';
import { findContainer } from './find-container.ts';
import { networkOwner } from './shared-namespaces.ts';

export type FactKind = 'interface' | 'address' | 'route' | 'rule' | 'sysctl' | 'name';

/** One thing that concerns a network. */
export interface NetworkFact {
  readonly kind: FactKind;
  /** Inside the container; else on the host. */
  readonly inside: boolean;
  /** As ip, nft or sysctl write it. */
  readonly subject: string;
  /** What it does, in a sentence. */
  readonly text: string;
  /** It is as it should be. */
  readonly inPlace: boolean;
}

const NOTHING: Observed = { interfaces: new Set(), addresses: new Set(), gateways: new Set() };

/** @returns in the order in which a packet that leaves meets them. @throws MydockerError `not-found`. */
export function explainContainerNetwork(engine: Engine, text: string): NetworkFact[] {
  const container = findContainer(engine, text);
  const owner = networkOwner(engine, container);
  const { network } = owner.config;
  const about = (words: string): NetworkFact[] => [
    { kind: 'interface', inside: true, subject: 'lo', text: words, inPlace: true },
  ];
  if (network === 'none') return about('the only interface: --network none');
  if (network === 'host')
    return about('and all others of the host: --network host, whose rules are not the server’s');
  const { endpoints = [], run, status } = owner;
  const pid = isAlive(status) ? (run?.pid ?? 0) : 0;
  const seen = { inside: pid === 0 ? NOTHING : observe(String(pid)), host: observe('self') };
  const networks = endpoints.flatMap(({ networkId }) => engine.store.networks.get(networkId) ?? []);
  return [
    ...(owner.id === container.id
      ? []
      : about(`and all others of container ${owner.name}, whose network it shares`)),
    ...endpoints.flatMap((endpoint) => insideFacts(engine, owner, endpoint, seen)),
    ...routeFacts(networks, seen.inside),
    ...nameFacts(engine, owner),
    ...networks.flatMap((one) => [...hostFacts(engine, one, seen.host), ...gatewayFacts(engine, one)]),
    ...endpoints.flatMap((endpoint) => ownFacts(engine, owner, endpoint)),
    ...portFacts(engine, owner),
  ];
}

/** @throws MydockerError `not-found`. */
export async function explainNetwork(engine: Engine, text: string): Promise<NetworkFact[]> {
  const network = await findNetwork(engine, text);
  const members = containersIn(engine, network.id).map(({ name }) => name);
  return [
    ...hostFacts(engine, network, observe('self')),
    ...gatewayFacts(engine, network),
    {
      ...{ kind: 'name', inside: false, subject: members.join(' ') || '-', inPlace: true },
      text: members.length === 0 ? 'nobody stands in it' : 'stand in it, running or not',
    },
  ];
}

interface Seen {
  readonly inside: Observed;
  readonly host: Observed;
}

function insideFacts(
  { store }: Engine,
  owner: ContainerRecord,
  endpoint: Endpoint,
  seen: Seen,
): NetworkFact[] {
  const network = store.networks.get(endpoint.networkId);
  if (network === undefined)
    return [
      {
        ...{ kind: 'interface', inside: true, subject: interfaceOf(endpoint), inPlace: false },
        text: `of network ${endpoint.networkId.slice(0, 12)}, whose record was lost`,
      },
    ];
  const { name, bridge } = network;
  const own = interfaceOf(endpoint);
  const alive = isAlive(owner.status) && owner.run !== undefined;
  const end = alive ? hostInterface(owner.run?.runId ?? '', endpoint) : '';
  const chosen = (part: 'ipv4' | 'ipv6'): string =>
    endpoint.given?.includes(part) === true ? 'asked for' : 'the lowest that was free';
  const address = (part: 'ipv4' | 'ipv6', cidr: string | undefined): NetworkFact[] => {
    const value = endpoint[part];
    if (value === undefined || cidr === undefined) return [];
    return [
      {
        ...{ kind: 'address', inside: true, subject: `${value}/${parseSubnet(cidr).prefix} dev ${own}` },
        text: `its address in network ${name}, ${chosen(part)}; it keeps it until it leaves`,
        inPlace: !alive || seen.inside.addresses.has(value),
      },
    ];
  };
  return [
    {
      ...{ kind: 'interface', inside: true, subject: `${own} address ${endpoint.mac}` },
      text: alive
        ? `its interface in network ${name}; the other end is ${end} on the host, in the bridge ${bridge}`
        : `its interface in network ${name}, made when it starts`,
      inPlace: !alive || (seen.inside.interfaces.has(own) && seen.host.interfaces.has(end)),
    },
    ...address('ipv4', network.subnet),
    ...address('ipv6', network.ipv6?.subnet),
  ];
}

function routeFacts(networks: readonly NetworkRecord[], { interfaces, gateways }: Observed): NetworkFact[] {
  const ways = ([4, 6] as const).flatMap((family) => {
    const network = wayOut(networks, family);
    const gateway = family === 4 ? network?.gateway : network?.ipv6?.gateway;
    return network === undefined || gateway === undefined ? [] : [{ network, gateway }];
  });
  if (ways.length === 0)
    return [
      {
        ...{ kind: 'route', inside: true, subject: 'default', inPlace: gateways.size === 0 },
        text: 'there is none: none of its networks has a way out',
      },
    ];
  return ways.map(({ network, gateway }) => ({
    ...{ kind: 'route', inside: true, subject: `default via ${gateway}` },
    text: `everything else leaves by network ${network.name}, the first of its networks that has a way out`,
    inPlace: interfaces.size === 0 || gateways.has(gateway),
  }));
}

function nameFacts(engine: Engine, owner: ContainerRecord): NetworkFact[] {
  const { endpoints = [] } = owner;
  const server = nameServerOf(engine, endpoints);
  const named = endpoints.filter(({ networkId }) => networkId !== defaultNetworkId(engine));
  const names = [...new Set(named.flatMap((endpoint) => namesOf(owner, endpoint)))];
  return [
    {
      ...{ kind: 'name', inside: true, subject: `nameserver ${server ?? 'of the host'}`, inPlace: true },
      text:
        server === undefined
          ? 'names are asked of the host’s servers, or those of --dns; no neighbour has a name there'
          : 'the server answers for the names of neighbours there, and asks on for others where there is a way out',
    },
    ...(names.length === 0
      ? []
      : [
          {
            ...({ kind: 'name', inside: false, subject: names.join(' '), inPlace: true } as const),
            text: 'neighbours find it by these names while it runs',
          },
        ]),
  ];
}

function hostFacts(engine: Engine, network: NetworkRecord, host: Observed): NetworkFact[] {
  const { name, bridge, subnet, gateway, ipv6, internal = false } = network;
  const made = host.interfaces.has(bridge);
  const needed = isNeeded(engine, network);
  const fact = (kind: FactKind, subject: string, text: string, inPlace: boolean): NetworkFact => ({
    ...{ kind, inside: false, subject, text },
    inPlace: inPlace || !needed,
  });
  const forwards = (key: string): NetworkFact =>
    fact(
      'sysctl',
      `${key} = ${readSysctl(key)}`,
      'the host forwards packets between interfaces',
      readSysctl(key) === '1',
    );
  const rules = engine.networks.rules.isInPlace(network.id);
  const table = `table inet ${tableName(engine.instance)}`;
  return [
    fact(
      'interface',
      bridge,
      made ? `the bridge of network ${name}` : `the bridge of network ${name}: it is not there`,
      made,
    ),
    ...[network, ...(ipv6 === undefined ? [] : [ipv6])].map((one) =>
      fact(
        'address',
        `${one.gateway}/${parseSubnet(one.subnet).prefix} dev ${bridge}`,
        'the host’s own address there, the gateway of who stands in it',
        host.addresses.has(one.gateway),
      ),
    ),
    ...(internal ? [] : [forwards('net.ipv4.ip_forward')]),
    ...(internal || ipv6 === undefined ? [] : [forwards('net.ipv6.conf.all.forwarding')]),
    fact(
      'rule',
      `${table}: chain forward, "${bridge}"`,
      internal
        ? `nothing gets from ${subnet} to another interface or back: the network is internal`
        : 'members reach each other; into it go answers and published ports only; other networks are kept out',
      rules,
    ),
    ...(internal
      ? []
      : [
          fact(
            'rule',
            `${table}: chain postrouting, "${bridge}"`,
            `what leaves ${subnet} gets the address of the interface that it leaves by, so that answers find back`,
            rules,
          ),
        ]),
    ...(network.id === defaultNetworkId(engine)
      ? []
      : [
          fact(
            'name',
            `${gateway}:53`,
            'the server answers for the names of who stands in it',
            engine.networks.resolver.isServing(network.id),
          ),
        ]),
  ];
}

/** Else nobody stands in it, and it may not be made yet. */
const isNeeded = (engine: Engine, { id }: NetworkRecord): boolean =>
  containersIn(engine, id).some(({ status }) => isAlive(status));

/** What of a network is looked at inside its bridge. */
function gatewayFacts(engine: Engine, network: NetworkRecord): NetworkFact[] {
  const { bridge, gateway, ipv6, spoofing } = network;
  const { rules } = engine.networks;
  const whose = [gateway, ...(ipv6 === undefined ? [] : [ipv6.gateway])].join(' and ');
  const others =
    spoofing === true
      ? 'under other addresses anybody may: spoofing=allow'
      : 'everybody sends under the addresses of his place alone';
  const known = rules.knows(network.id);
  return [
    {
      ...({ kind: 'rule', inside: false } as const),
      subject: `table bridge ${tableName(engine.instance)}: chain gateways, "${bridge}"`,
      text:
        known && !rules.guardsBridges
          ? 'this kernel looks into no bridge: members of the network must trust each other'
          : `nobody who stands in it sends as ${whose}, or tells neighbours that he is; ${others}`,
      inPlace: !isNeeded(engine, network) || rules.isInPlace(network.id),
    },
  ];
}

/** What an interface is held to. */
function ownFacts(engine: Engine, { run, status }: ContainerRecord, endpoint: Endpoint): NetworkFact[] {
  const { rules } = engine.networks;
  const spoofing = engine.store.networks.get(endpoint.networkId)?.spoofing === true;
  if (!isAlive(status) || run === undefined || spoofing || !rules.guardsBridges) return [];
  const { mac, ipv4, ipv6 } = endpoint;
  const hostEnd = hostInterface(run.runId, endpoint);
  return [
    {
      ...({ kind: 'rule', inside: false } as const),
      subject: `table bridge ${tableName(engine.instance)}: chain own, "${hostEnd}"`,
      text: `${interfaceOf(endpoint)} sends as ${[mac, ipv4, ...(ipv6 === undefined ? [] : [ipv6])].join(', ')} alone, announces no router, and tells neighbours of no other address`,
      inPlace: rules.holds(hostEnd) && rules.isInPlace(endpoint.networkId),
    },
  ];
}

function portFacts(engine: Engine, { run, status }: ContainerRecord): NetworkFact[] {
  if (!isAlive(status)) return [];
  const inPlace = engine.networks.rules.isInPlace();
  return (run?.ports ?? []).map((port) => ({
    ...{ kind: 'rule', inside: false, subject: `port ${portText(port)}`, inPlace },
    text: `leads to port ${port.containerPort} of the container where its answers leave by`,
  }));
}

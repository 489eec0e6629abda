/**
 * A container's interfaces as operations of plans: pairs whose one end stands in a bridge and whose other end is
 * born inside. A link that is moved costs the kernel ten times as much.
 */
import { type Endpoint, interfaceOf, type NetworkRecord, wayOut } from '../model/network.ts';
import type { NetworkPart, Op, Slot } from '../model/plan.ts';
import { setParameter } from '../model/procfs-plan.ts';
import { loopbackUp } from './loopback.ts';
import {
  ADDRESS_INDEX_AT,
  attribute,
  defaultRoute,
  FIRST_ATTRIBUTE_AT,
  hardware,
  IFLA,
  LINK_INDEX_AT,
  LINK_INFO,
  linkHeader,
  newAddress,
  newLink,
  number32,
  setLink,
  text,
  VETH_PEER,
} from './rtnetlink.ts';

/** An endpoint with all that its interface depends on. */
export interface Plug {
  readonly network: NetworkRecord;
  readonly endpoint: Endpoint;
  /** Name of the host's end, at most 15 characters. */
  readonly hostEnd: string;
}

/** Whether two are the same interface with the same addresses. */
export const samePlace = (one: Plug | undefined, other: Plug): boolean =>
  one !== undefined &&
  one.hostEnd === other.hostEnd &&
  one.endpoint.mac === other.endpoint.mac &&
  one.endpoint.ipv4 === other.endpoint.ipv4 &&
  one.endpoint.ipv6 === other.endpoint.ipv6;

/** One queue each way: the default is one for each CPU, and a pair without a queueing discipline uses none. */
const queues = Buffer.concat([attribute(IFLA.txQueues, number32(1)), attribute(IFLA.rxQueues, number32(1))]);

/** The master is the first attribute and the descriptor of the namespace the last, where they are patched in. */
function pairMessage({ network: { mtu }, endpoint, hostEnd }: Plug): Buffer {
  const size = mtu === undefined ? [] : [attribute(IFLA.mtu, number32(mtu))];
  const peer = Buffer.concat([
    // The kernel sets no end up while it does not know the other.
    linkHeader(0, false),
    attribute(IFLA.name, text(interfaceOf(endpoint))),
    attribute(IFLA.address, hardware(endpoint.mac)),
    ...size,
    queues,
    attribute(IFLA.netNsFd, number32(0)),
  ]);
  return newLink(
    true,
    attribute(IFLA.master, number32(0)),
    attribute(IFLA.name, text(hostEnd)),
    ...size,
    queues,
    attribute(
      IFLA.linkInfo,
      attribute(LINK_INFO.kind, text('veth')),
      attribute(LINK_INFO.data, attribute(VETH_PEER, peer)),
    ),
  );
}

/**
 * Makes a pair, in the host's namespace.
 * @param namespace - slot with the container's network namespace.
 */
export function makePair(plug: Plug, namespace: Slot): Op {
  const { network, endpoint, hostEnd } = plug;
  const pair = pairMessage(plug);
  return {
    name: 'netlink',
    a: namespace,
    s1: pair,
    s2: network.bridge,
    x: pair.length - 4,
    y: FIRST_ATTRIBUTE_AT,
    about: `make ${interfaceOf(endpoint)}, and its other end ${hostEnd} in ${network.bridge}`,
  };
}

const setting = (sys: Slot, path: string, value: string, about: string): Op => ({
  ...setParameter(sys, `net/ipv6/conf/${path}`, value, about),
  // A kernel may have no IPv6.
  ignoreErrors: true,
});

/**
 * What interfaces of the namespace are born with. A neighbour could announce itself as the way out.
 * @param sys - slot of a procfs's kernel parameters.
 */
export const quietBirth = (sys: Slot): Op[] => [
  setting(sys, 'default/disable_ipv6', '1', 'keep IPv6 off interfaces'),
  setting(sys, 'default/accept_ra', '0', 'believe no router'),
];

/** An interface's addresses, in the container's namespace. @param sys - as quietBirth. */
export function setUp({ network, endpoint }: Plug, sys: Slot): Op[] {
  const name = interfaceOf(endpoint);
  const give = (address: string, subnet: string): Op => ({
    name: 'netlink',
    s1: newAddress(address, subnet),
    s2: name,
    y: ADDRESS_INDEX_AT,
    // A server that died may have come as far.
    existsOk: true,
    about: `give ${name} the address ${address}`,
  });
  const { ipv6 } = endpoint;
  return [
    give(endpoint.ipv4, network.subnet),
    ...(ipv6 === undefined || network.ipv6 === undefined
      ? []
      : [
          // Else nothing that is routed arrives in the first second or two. Its hardware address is nobody else's.
          setting(sys, `${name}/accept_dad`, '0', `wait for no neighbour with the address of ${name}`),
          setting(sys, `${name}/disable_ipv6`, '0', `use IPv6 on ${name}`),
          give(ipv6, network.ipv6.subnet),
        ]),
    { name: 'netlink', s1: setLink(0), s2: name, y: LINK_INDEX_AT, about: `set ${name} up` },
  ];
}

/** The routes to everything else, by the first of its networks that leads there. */
export function defaultRoutes(networks: readonly NetworkRecord[]): Op[] {
  const gateways = [wayOut(networks)?.gateway, wayOut(networks, 6)?.ipv6?.gateway];
  return gateways.flatMap((gateway) =>
    gateway === undefined
      ? []
      : [
          {
            name: 'netlink' as const,
            s1: defaultRoute(gateway),
            existsOk: true,
            about: `route everything through ${gateway}`,
          },
        ],
  );
}

/**
 * The interfaces of a run.
 * @param plugs - at least one.
 * @param namespace - a free slot for the container's network namespace.
 * @param sys - slot that has its kernel parameters.
 */
export function planVeths(plugs: readonly Plug[], namespace: Slot, sys: Slot): NetworkPart {
  return {
    handOver: [
      ...quietBirth(sys),
      { name: 'open', a: namespace, s1: '/proc/self/ns/net', about: 'open the network namespace' },
      { name: 'send-slot', a: namespace, about: 'hand the network namespace to the shim' },
    ],
    parentAfter: [
      { name: 'recv-slot', a: namespace, about: 'take the network namespace' },
      ...plugs.map((plug) => makePair(plug, namespace)),
      // Or the namespace would live as long as the shim, and the pair with it.
      { name: 'close', a: namespace, about: 'let go of the network namespace' },
    ],
    child: [loopbackUp],
    withInterface: [
      ...plugs.flatMap((plug) => setUp(plug, sys)),
      ...defaultRoutes(plugs.map(({ network }) => network)),
    ],
  };
}

/** Nothing but the loopback interface. */
export const LOOPBACK_ONLY: NetworkPart = {
  handOver: [],
  parentAfter: [],
  child: [loopbackUp],
  withInterface: [],
};

/** The network of somebody else: nothing is ours to set. */
export const NO_NETWORK: NetworkPart = { handOver: [], parentAfter: [], child: [], withInterface: [] };

/**
 * A container's interface as operations of its launch plan: a pair whose one end stands in the bridge and whose
 * other end is born inside. A link that is moved costs the kernel ten times as much.
 */
import { CONTAINER_INTERFACE, type Endpoint, type NetworkRecord } from '../model/network.ts';
import type { NetworkPart, Op, Slot } from '../model/plan.ts';
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

/** One queue each way: the default is one for each CPU, and a pair without a queueing discipline uses none. */
const queues = Buffer.concat([attribute(IFLA.txQueues, number32(1)), attribute(IFLA.rxQueues, number32(1))]);

/** The master is the first attribute and the descriptor of the namespace the last, where they are patched in. */
function pairMessage(hostEnd: string, mac: string): Buffer {
  const peer = Buffer.concat([
    // The kernel sets no end up while it does not know the other.
    linkHeader(0, false),
    attribute(IFLA.name, text(CONTAINER_INTERFACE)),
    attribute(IFLA.address, hardware(mac)),
    queues,
    attribute(IFLA.netNsFd, number32(0)),
  ]);
  return newLink(
    true,
    attribute(IFLA.master, number32(0)),
    attribute(IFLA.name, text(hostEnd)),
    queues,
    attribute(
      IFLA.linkInfo,
      attribute(LINK_INFO.kind, text('veth')),
      attribute(LINK_INFO.data, attribute(VETH_PEER, peer)),
    ),
  );
}

/**
 * @param hostEnd - name of the host's end, at most 15 characters.
 * @param namespace - a free slot for the container's network namespace.
 */
export function planVeth(
  { bridge, subnet, gateway }: NetworkRecord,
  { ipv4, mac }: Endpoint,
  hostEnd: string,
  namespace: Slot,
): NetworkPart {
  const pair = pairMessage(hostEnd, mac);
  return {
    handOver: [
      {
        name: 'write',
        s1: '/proc/sys/net/ipv6/conf/default/disable_ipv6',
        s2: '1',
        // A neighbour could announce itself as the way out. A kernel may have no IPv6.
        ignoreErrors: true,
        about: `keep IPv6 off ${CONTAINER_INTERFACE}`,
      },
      { name: 'open', a: namespace, s1: '/proc/self/ns/net', about: 'open the network namespace' },
      { name: 'send-slot', a: namespace, about: 'hand the network namespace to the shim' },
    ],
    parentAfter: [
      { name: 'recv-slot', a: namespace, about: 'take the network namespace' },
      {
        name: 'netlink',
        a: namespace,
        s1: pair,
        s2: bridge,
        x: pair.length - 4,
        y: FIRST_ATTRIBUTE_AT,
        about: `make ${CONTAINER_INTERFACE}, and its other end ${hostEnd} in ${bridge}`,
      },
      // Or the namespace would live as long as the shim, and the pair with it.
      { name: 'close', a: namespace, about: 'let go of the network namespace' },
    ],
    child: [loopbackUp],
    withInterface: interfaceOps(ipv4, subnet, gateway),
  };
}

function interfaceOps(ipv4: string, subnet: string, gateway: string): Op[] {
  return [
    {
      name: 'netlink',
      s1: newAddress(ipv4, subnet),
      s2: CONTAINER_INTERFACE,
      y: ADDRESS_INDEX_AT,
      about: `give ${CONTAINER_INTERFACE} the address ${ipv4}`,
    },
    {
      name: 'netlink',
      s1: setLink(0),
      s2: CONTAINER_INTERFACE,
      y: LINK_INDEX_AT,
      about: `set ${CONTAINER_INTERFACE} up`,
    },
    { name: 'netlink', s1: defaultRoute(gateway), about: `route everything through ${gateway}` },
  ];
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

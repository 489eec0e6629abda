/**
 * A network's bridge as operations in the host's namespace: made where it is missing, and all the same where
 * it is there, so that two at once and a second time do no harm.
 */
import type { NetworkRecord } from '../model/network.ts';
import type { Op } from '../model/plan.ts';
import { macOf, parseAddress } from './ip.ts';
import {
  ADDRESS_INDEX_AT,
  attribute,
  deleteLink,
  FIRST_ATTRIBUTE_AT,
  hardware,
  IFLA,
  LINK_INDEX_AT,
  LINK_INFO,
  newAddress,
  newLink,
  number32,
  setLink,
  text,
} from './rtnetlink.ts';

/** @param ports - interfaces that stood in it before somebody removed it; those that are gone are left out. */
export function bridgeOps(network: NetworkRecord, ports: readonly number[]): Op[] {
  const { bridge, gateway, ipv6, mtu } = network;
  const link = newLink(
    // Up only when it is known whether it has IPv6, or it would begin to look for neighbours.
    false,
    attribute(IFLA.name, text(bridge)),
    // One of its own: else it changes with the interfaces that come and go, and neighbours lose it.
    attribute(IFLA.address, hardware(macOf(parseAddress(gateway)))),
    ...(mtu === undefined ? [] : [attribute(IFLA.mtu, number32(mtu))]),
    attribute(IFLA.linkInfo, attribute(LINK_INFO.kind, text('bridge'))),
  );
  const write = (path: string, value: string, about: string): Op => ({
    ...{ name: 'write', s1: `/proc/sys/net/${path}`, s2: value, about },
    // A kernel may have no IPv6.
    ignoreErrors: path.startsWith('ipv6'),
  });
  const give = (subnet: string, address: string): Op => ({
    name: 'netlink',
    s1: newAddress(address, subnet),
    s2: bridge,
    y: ADDRESS_INDEX_AT,
    existsOk: true,
    about: `give ${bridge} the address ${address}`,
  });
  return [
    { name: 'netlink', s1: link, existsOk: true, about: `make the bridge ${bridge}` },
    // Whoever stands in it could announce itself as the way out.
    write(`ipv6/conf/${bridge}/accept_ra`, '0', `let ${bridge} believe no router`),
    // Its own address is of use at once: what is routed into it asks for neighbours by that.
    ...(ipv6 === undefined
      ? []
      : [
          write(`ipv6/conf/${bridge}/accept_dad`, '0', `wait for no neighbour with the address of ${bridge}`),
        ]),
    write(
      `ipv6/conf/${bridge}/disable_ipv6`,
      ipv6 === undefined ? '1' : '0',
      `${ipv6 === undefined ? 'keep IPv6 off' : 'use IPv6 on'} ${bridge}`,
    ),
    give(network.subnet, gateway),
    ...(ipv6 === undefined ? [] : [give(ipv6.subnet, ipv6.gateway)]),
    { name: 'netlink', s1: setLink(0), s2: bridge, y: LINK_INDEX_AT, about: `set ${bridge} up` },
    ...ports.map(
      (index): Op => ({
        name: 'netlink',
        s1: setLink(index, attribute(IFLA.master, number32(0))),
        s2: bridge,
        y: FIRST_ATTRIBUTE_AT,
        ignoreErrors: true,
        about: `put interface ${index} back into ${bridge}`,
      }),
    ),
    write('ipv4/ip_forward', '1', 'let the host forward packets of containers'),
    ...(ipv6 === undefined
      ? []
      : [write('ipv6/conf/all/forwarding', '1', 'let the host forward IPv6 packets of containers')]),
  ];
}

/** A bridge, or one end of a pair, which takes the other with it. */
export const removeLink = (name: string): Op => ({
  name: 'netlink',
  s1: deleteLink(),
  s2: name,
  y: LINK_INDEX_AT,
  // It is gone.
  ignoreErrors: true,
  about: `delete the interface ${name}`,
});

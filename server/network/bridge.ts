/**
 * A network's bridge as operations in the host's namespace: made where it is missing, and all the same where
 * it is there, so that two at once and a second time do no harm.
 */
import type { NetworkRecord } from '../model/network.ts';
import type { Op } from '../model/plan.ts';
import { macOf, parseIpv4 } from './ipv4.ts';
import {
  ADDRESS_INDEX_AT,
  attribute,
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
export function bridgeOps({ bridge, gateway, subnet }: NetworkRecord, ports: readonly number[]): Op[] {
  const link = newLink(
    // Up only without IPv6, or it would begin to look for neighbours.
    false,
    attribute(IFLA.name, text(bridge)),
    // One of its own: else it changes with the interfaces that come and go, and neighbours lose it.
    attribute(IFLA.address, hardware(macOf(parseIpv4(gateway)))),
    attribute(IFLA.linkInfo, attribute(LINK_INFO.kind, text('bridge'))),
  );
  return [
    { name: 'netlink', s1: link, existsOk: true, about: `make the bridge ${bridge}` },
    {
      name: 'write',
      s1: `/proc/sys/net/ipv6/conf/${bridge}/disable_ipv6`,
      s2: '1',
      // A kernel may have no IPv6.
      ignoreErrors: true,
      about: `keep IPv6 off ${bridge}`,
    },
    {
      name: 'netlink',
      s1: newAddress(gateway, subnet),
      s2: bridge,
      y: ADDRESS_INDEX_AT,
      existsOk: true,
      about: `give ${bridge} the address ${gateway}`,
    },
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
    {
      name: 'write',
      s1: '/proc/sys/net/ipv4/ip_forward',
      s2: '1',
      about: 'let the host forward packets of containers',
    },
  ];
}

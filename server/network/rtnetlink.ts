/**
 * Messages of rtnetlink: links, addresses and routes as the bytes that a plan's `netlink` operation sends.
 * Numbers are in the machine's order, which is little endian wherever this runs; addresses are not.
 * Source: rtnetlink(7), linux/rtnetlink.h, linux/if_link.h, linux/veth.h.
 */
import { addressBytes, type Family, lastOf, parseAddress, parseSubnet } from './ip.ts';

export const RTM = { newLink: 16, delLink: 17, newAddress: 20, newRoute: 24 } as const;
export const NLM_F = { request: 0x1, ack: 0x4, excl: 0x200, create: 0x400 } as const;
export const IFF_UP = 0x1;
export const IFLA = {
  address: 1,
  name: 3,
  mtu: 4,
  master: 10,
  linkInfo: 18,
  netNsFd: 28,
  txQueues: 31,
  rxQueues: 32,
} as const;
export const LINK_INFO = { kind: 1, data: 2 } as const;
export const VETH_PEER = 1;
export const IFA = { address: 1, local: 2, broadcast: 4 } as const;
export const RTA = { gateway: 5 } as const;
const AF: Readonly<Record<Family, number>> = { 4: 2, 6: 10 };
/** Nobody else has it: it is not asked for first, which takes a second. */
const IFA_F_NODAD = 0x2;
const ROUTE = { table: 254, boot: 3, universe: 0, unicast: 1 } as const;

export const NLMSGHDR_BYTES = 16;
export const IFINFOMSG_BYTES = 16;
const ATTRIBUTE_BYTES = 4;
/** Where a message about a link has the index of its first attribute, and one about an address its interface's. */
export const FIRST_ATTRIBUTE_AT: number = NLMSGHDR_BYTES + IFINFOMSG_BYTES + ATTRIBUTE_BYTES;
export const LINK_INDEX_AT: number = NLMSGHDR_BYTES + 4;
export const ADDRESS_INDEX_AT: number = NLMSGHDR_BYTES + 4;

/** One attribute with its padding. */
export function attribute(type: number, ...payload: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(payload);
  const bytes = Buffer.alloc((ATTRIBUTE_BYTES + body.length + 3) & ~3);
  bytes.writeUInt16LE(ATTRIBUTE_BYTES + body.length, 0);
  bytes.writeUInt16LE(type, 2);
  body.copy(bytes, ATTRIBUTE_BYTES);
  return bytes;
}

export const number32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
export const text = (value: string): Buffer => Buffer.from(`${value}\0`);
export const hardware = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');

function message(type: number, flags: number, ...parts: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(NLMSGHDR_BYTES), ...parts]);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(NLM_F.request | NLM_F.ack | flags, 6);
  return bytes;
}

/** What a message about a link begins with. @param index - 0: by name, or patched in. */
export function linkHeader(index: number, up: boolean): Buffer {
  const bytes = Buffer.alloc(IFINFOMSG_BYTES);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(up ? IFF_UP : 0, 8);
  bytes.writeUInt32LE(up ? IFF_UP : 0, 12);
  return bytes;
}

/** Makes a link. @param attributes - in this order; fails with EEXIST when there is one of its name. */
export const newLink = (up: boolean, ...attributes: readonly Uint8Array[]): Buffer =>
  message(RTM.newLink, NLM_F.create | NLM_F.excl, linkHeader(0, up), ...attributes);

/** Sets a link up, and whatever else. */
export const setLink = (index: number, ...attributes: readonly Uint8Array[]): Buffer =>
  message(RTM.newLink, 0, linkHeader(index, true), ...attributes);

/** Deletes a link, of a pair both ends; its index is patched in at LINK_INDEX_AT. */
export const deleteLink = (): Buffer => message(RTM.delLink, 0, linkHeader(0, false));

/**
 * Gives an interface an address; its index is patched in at ADDRESS_INDEX_AT. EEXIST when it has it.
 * @param subnet - `10.20.30.0/24`, which decides the prefix and the broadcast address.
 */
export function newAddress(address: string, subnet: string): Buffer {
  const range = parseSubnet(subnet);
  const { family, prefix } = range;
  const local = addressBytes(parseAddress(address));
  const header = Buffer.from([AF[family], prefix, family === 6 ? IFA_F_NODAD : 0, 0, 0, 0, 0, 0]);
  const everybody = addressBytes({ family, value: lastOf(range) });
  return message(
    RTM.newAddress,
    NLM_F.create | NLM_F.excl,
    header,
    attribute(IFA.address, local),
    attribute(IFA.local, local),
    ...(family === 4 ? [attribute(IFA.broadcast, everybody)] : []),
  );
}

/** The way to everything that no other route leads to; the interface follows from the gateway. */
export function defaultRoute(gateway: string): Buffer {
  const { table, boot, universe, unicast } = ROUTE;
  const address = parseAddress(gateway);
  const header = Buffer.from([AF[address.family], 0, 0, 0, table, boot, universe, unicast, 0, 0, 0, 0]);
  return message(
    RTM.newRoute,
    NLM_F.create | NLM_F.excl,
    header,
    attribute(RTA.gateway, addressBytes(address)),
  );
}

/**
 * The one interface that every network namespace is born with, set up: the rtnetlink message that the shim
 * sends in the container's namespace.
 * Source: rtnetlink(7), linux/rtnetlink.h, linux/if_link.h.
 */
import type { Op } from '../model/plan.ts';

const RTM_NEWLINK = 16;
const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
const IFF_UP = 0x1;
/** `lo` is the first interface of a namespace. */
const LOOPBACK_INDEX = 1;
const NLMSGHDR_BYTES = 16;
const IFINFOMSG_BYTES = 16;

function loopbackMessage(): Buffer {
  const bytes = Buffer.alloc(NLMSGHDR_BYTES + IFINFOMSG_BYTES);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(RTM_NEWLINK, 4);
  bytes.writeUInt16LE(NLM_F_REQUEST | NLM_F_ACK, 6);
  bytes.writeInt32LE(LOOPBACK_INDEX, NLMSGHDR_BYTES + 4);
  bytes.writeUInt32LE(IFF_UP, NLMSGHDR_BYTES + 8);
  bytes.writeUInt32LE(IFF_UP, NLMSGHDR_BYTES + 12);
  return bytes;
}

export const loopbackUp: Op = {
  name: 'netlink',
  s1: loopbackMessage(),
  about: 'set the loopback interface up',
};

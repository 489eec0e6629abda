/**
 * Forgets conversations that the kernel tracks: one that goes on keeps the translation that it began with, which for
 * UDP is for as long as somebody sends.
 *
 * WHY NOT conntrack(8): a process for each, and it is often not installed.
 * SAFETY: one socket for the life of the process; the kernel answers within the send, and goes on with a list while it
 * is read. A call blocks while the kernel walks its table of conversations, about a millisecond.
 * Source: linux/netfilter/nfnetlink_conntrack.h; filters of a list need Linux 5.8, those of a flush 6.8.
 */
import { SyscallError } from './errno.ts';
import { calls, check } from './libc.ts';

const AF_NETLINK = 16;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NETLINK_NETFILTER = 12;
/** (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE */
const DELETE = (1 << 8) | 2;
/** (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET */
const GET = (1 << 8) | 1;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const HEADER_BYTES = 20;
/** What the kernel sends at once of a list is at most this. */
const REPLY_BYTES = 32_768;
const MSG_DONTWAIT = 0x40;
const NESTED = 0x8000;
const CTA = { original: 1, reply: 2, filter: 25 } as const;
const CTA_TUPLE = { ip: 1, protocol: 2 } as const;
const CTA_IP = { v4: { source: 1, destination: 2 }, v6: { source: 3, destination: 4 } } as const;
const CTA_PROTO = { number: 1, sourcePort: 2, destinationPort: 3 } as const;
const CTA_FILTER = { original: 1, reply: 2 } as const;
/** Which parts of a tuple must be the same: bits of CTA_FILTER_FLAG_*. */
const PART = {
  source: 1 << 0,
  destination: 1 << 1,
  number: 1 << 3,
  sourcePort: 1 << 4,
  destinationPort: 1 << 5,
};

const sysSocket = calls.func('int mydocker_socket(int domain, int type, int protocol)');
const sysSend = calls.func('long mydocker_send(int fd, const void *bytes, size_t length, int flags)');
const sysRecv = calls.func('long mydocker_recv(int fd, void *bytes, size_t length, int flags)');

/** Which conversations. */
export interface Conversations {
  /** `to`: those that somebody began by sending there; `from`: those that are answered from there. */
  readonly direction: 'to' | 'from';
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** Number of the protocol: 6 TCP, 17 UDP, 132 SCTP. */
  readonly protocol: number;
  readonly port: number;
}

function attribute(type: number, ...payload: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(payload);
  const bytes = Buffer.alloc((4 + body.length + 3) & ~3);
  bytes.writeUInt16LE(4 + body.length, 0);
  bytes.writeUInt16LE(type, 2);
  body.copy(bytes, 4);
  return bytes;
}

const nested = (type: number, ...payload: readonly Uint8Array[]): Buffer =>
  attribute(type | NESTED, ...payload);

function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function port16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** @param withAddress - else protocol and port alone are compared. */
function filterOf({ direction, address, protocol, port }: Conversations, withAddress: boolean): Buffer {
  const answered = direction === 'from';
  const ip = CTA_IP[address.length === 4 ? 'v4' : 'v6'];
  const tuple = nested(
    answered ? CTA.reply : CTA.original,
    nested(CTA_TUPLE.ip, attribute(answered ? ip.source : ip.destination, address)),
    nested(
      CTA_TUPLE.protocol,
      attribute(CTA_PROTO.number, Buffer.from([protocol])),
      attribute(answered ? CTA_PROTO.sourcePort : CTA_PROTO.destinationPort, port16(port)),
    ),
  );
  const where = answered ? PART.source : PART.destination;
  const parts = PART.number | (answered ? PART.sourcePort : PART.destinationPort) | (withAddress ? where : 0);
  const filter = nested(
    CTA.filter,
    attribute(CTA_FILTER.original, number32(answered ? 0 : parts)),
    attribute(CTA_FILTER.reply, number32(answered ? parts : 0)),
  );
  return Buffer.concat([tuple, filter]);
}

function message(type: number, flags: number, family: number, body: Uint8Array): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(HEADER_BYTES), body]);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(NLM_F_REQUEST | flags, 6);
  bytes.writeUInt8(family, 16);
  // Version 0 would mean both families, whatever the byte before says.
  bytes.writeUInt8(1, 17);
  return bytes;
}

let opened: number | undefined;

function openSocket(): number {
  return check(sysSocket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_NETFILTER), 'socket', 'NETLINK_NETFILTER');
}

/** Sends a message and reads all that answers it. @returns the messages, the last one left out. */
function ask(what: string, request: Buffer): Buffer[] {
  opened ??= openSocket();
  check(sysSend(opened, request, request.length, 0), 'send', what);
  const found: Buffer[] = [];
  for (;;) {
    const reply = Buffer.alloc(REPLY_BYTES);
    const got = check(sysRecv(opened, reply, reply.length, MSG_DONTWAIT), 'recv', what);
    for (const one of split(reply.subarray(0, got), 0)) {
      const type = one.readUInt16LE(4);
      if (type === NLMSG_DONE) return found;
      if (type !== NLMSG_ERROR) found.push(one);
      else if (one.readInt32LE(16) === 0) return found;
      else throw new SyscallError('ctnetlink', -one.readInt32LE(16), what);
    }
  }
}

/** Parts of a buffer that begin with their length; those of attributes have 2 bytes of it, those of messages 4. */
function split(bytes: Buffer, from: number, read = (at: number): number => bytes.readUInt32LE(at)): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = from; at + 4 <= bytes.length; ) {
    const length = read(at);
    if (length < 4) break;
    parts.push(bytes.subarray(at, at + length));
    at += (length + 3) & ~3;
  }
  return parts;
}

/** One attribute of those that begin at an offset. */
function find(bytes: Buffer, from: number, type: number): Buffer | undefined {
  return split(bytes, from, (at) => bytes.readUInt16LE(at)).find(
    (part) => (part.readUInt16LE(2) & ~NESTED) === type,
  );
}

/** Lists those with this port, and forgets one by one who has the address. */
function forgetListed(which: Conversations): void {
  const four = which.address.length === 4;
  const family = four ? AF_INET : AF_INET6;
  const side = which.direction === 'from' ? CTA.reply : CTA.original;
  const end = CTA_IP[four ? 'v4' : 'v6'][which.direction === 'from' ? 'source' : 'destination'];
  for (const one of ask('IPCTNL_MSG_CT_GET', message(GET, NLM_F_DUMP, family, filterOf(which, false)))) {
    const tuple = find(one, HEADER_BYTES, side);
    const ip = tuple && find(tuple, 4, CTA_TUPLE.ip);
    const address = ip && find(ip, 4, end);
    const original = find(one, HEADER_BYTES, CTA.original);
    if (original === undefined || address?.subarray(4).equals(which.address) !== true) continue;
    try {
      ask('IPCTNL_MSG_CT_DELETE', message(DELETE, NLM_F_ACK, family, original));
    } catch (thrown) {
      // It ended by itself.
      if (!(thrown instanceof SyscallError && thrown.errno === 'ENOENT')) throw thrown;
    }
  }
}

/** Before Linux 6.8 the kernel misses half of the one conversation that it thinks is meant. */
let takesFilter = true;

/**
 * Forgets these conversations; none is fine, too. IPv6 without a filter: with one the kernel compares addresses the wrong
 * way round (seen with 6.18), and would forget all others.
 * @throws SyscallError EOPNOTSUPP and the like where the kernel tracks none.
 */
export function forgetConversations(which: Conversations): void {
  if (which.address.length === 4 && takesFilter) {
    try {
      ask('IPCTNL_MSG_CT_DELETE', message(DELETE, NLM_F_ACK, AF_INET, filterOf(which, true)));
      return;
    } catch (thrown) {
      if (!(thrown instanceof SyscallError && thrown.errno === 'EINVAL')) throw thrown;
      takesFilter = false;
    }
  }
  forgetListed(which);
}

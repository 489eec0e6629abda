/**
 * Forgets conversations that the kernel tracks: one that goes on keeps the translation that it began with, which for
 * UDP is for as long as somebody sends.
 *
 * WHY NOT conntrack(8): a process for each, and it is often not installed.
 * SAFETY: one socket for the life of the process; the kernel answers within the send. A call blocks while the kernel
 * walks its table of conversations, about a millisecond.
 * Source: linux/netfilter/nfnetlink_conntrack.h; filters of a flush need Linux 5.8.
 */
import { SyscallError } from './errno.ts';
import { lastErrno, libc } from './libc.ts';

const AF_NETLINK = 16;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NETLINK_NETFILTER = 12;
/** (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE */
const DELETE = (1 << 8) | 2;
const NLM_F_REQUEST_ACK = 1 | 4;
const NLMSG_ERROR = 2;
const HEADER_BYTES = 20;
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

const sysSocket = libc.func('int socket(int domain, int type, int protocol)');
const sysSend = libc.func('long send(int fd, const void *bytes, size_t length, int flags)');
const sysRecv = libc.func('long recv(int fd, void *bytes, size_t length, int flags)');

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

function deleteMessage({ direction, address, protocol, port }: Conversations): Buffer {
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
  const parts =
    PART.number | (answered ? PART.source | PART.sourcePort : PART.destination | PART.destinationPort);
  const filter = nested(
    CTA.filter,
    attribute(CTA_FILTER.original, number32(answered ? 0 : parts)),
    attribute(CTA_FILTER.reply, number32(answered ? parts : 0)),
  );
  const bytes = Buffer.concat([Buffer.alloc(HEADER_BYTES), tuple, filter]);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(DELETE, 4);
  bytes.writeUInt16LE(NLM_F_REQUEST_ACK, 6);
  bytes.writeUInt8(address.length === 4 ? AF_INET : AF_INET6, 16);
  // Version 0 would mean both families, whatever the byte before says.
  bytes.writeUInt8(1, 17);
  return bytes;
}

let opened: number | undefined;

function openSocket(): number {
  const socket = sysSocket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_NETFILTER) as number;
  if (socket < 0) throw new SyscallError('socket', lastErrno(), 'NETLINK_NETFILTER');
  return socket;
}

/**
 * Forgets these conversations; none is fine, too.
 * @throws SyscallError EOPNOTSUPP and the like where the kernel tracks none.
 */
export function forgetConversations(which: Conversations): void {
  const message = deleteMessage(which);
  const reply = Buffer.alloc(512);
  opened ??= openSocket();
  if ((sysSend(opened, message, message.length, 0) as number) < 0)
    throw new SyscallError('send', lastErrno(), 'IPCTNL_MSG_CT_DELETE');
  const got = sysRecv(opened, reply, reply.length, MSG_DONTWAIT) as number;
  if (got < 0) throw new SyscallError('recv', lastErrno(), 'IPCTNL_MSG_CT_DELETE');
  const errno = got >= HEADER_BYTES && reply.readUInt16LE(4) === NLMSG_ERROR ? -reply.readInt32LE(16) : 0;
  if (errno !== 0) throw new SyscallError('ctnetlink', errno, 'IPCTNL_MSG_CT_DELETE');
}

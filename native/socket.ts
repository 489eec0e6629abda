/**
 * Socket pairs, and descriptors sent over them: how a launch reaches the zygote.
 *
 * WHY NOT node:net: it makes no socket pairs, passes no descriptors and sets no buffers.
 * SAFETY: sends never block (MSG_DONTWAIT); all buffers live in this function's frame until the call is over.
 */
import type { Socket } from 'node:net';
import koffi from 'koffi';
import { calls, check } from './libc.ts';

const AF_UNIX = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDBUFFORCE = 32;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const CMSG_HEADER_BYTES = 16;

export const SOCKET_TYPE = { stream: 1, seqPacket: 5 } as const;

koffi.struct('mydocker_iovec', { base: 'void *', length: 'size_t' });
koffi.struct('mydocker_msghdr', {
  name: 'void *',
  nameLength: 'uint32_t',
  parts: 'mydocker_iovec *',
  partCount: 'size_t',
  control: 'void *',
  controlLength: 'size_t',
  flags: 'int',
});

const sysSocketpair = calls.func('int mydocker_socketpair(int domain, int type, int protocol, void *ends)');
const sysSetsockopt = calls.func(
  'int mydocker_setsockopt(int fd, int level, int option, const void *value, uint32_t length)',
);
const sysSendmsg = calls.func('long mydocker_sendmsg(int fd, const mydocker_msghdr *message, int flags)');

/**
 * Two connected unix sockets, both close-on-exec and blocking.
 * @throws SyscallError EMFILE, ENFILE.
 */
export function socketPair(type: (typeof SOCKET_TYPE)[keyof typeof SOCKET_TYPE]): [number, number] {
  const ends = new Int32Array(2);
  check(sysSocketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 'socketpair');
  return [ends[0] ?? -1, ends[1] ?? -1];
}

/**
 * Sends `bytes` and duplicates of `descriptors` in one message (cmsg(3), SCM_RIGHTS).
 * @throws SyscallError EAGAIN when the receiver's queue is full, EPIPE and ECONNRESET when it is gone.
 */
export function sendDescriptors(socket: number, bytes: Uint8Array, descriptors: readonly number[]): void {
  const length = CMSG_HEADER_BYTES + 4 * descriptors.length;
  const control = Buffer.alloc((length + 7) & ~7);
  control.writeBigUInt64LE(BigInt(length), 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  for (const [index, fd] of descriptors.entries()) control.writeInt32LE(fd, CMSG_HEADER_BYTES + 4 * index);
  const message = {
    name: null,
    nameLength: 0,
    parts: [{ base: bytes, length: bytes.length }],
    partCount: 1,
    control,
    controlLength: control.length,
    flags: 0,
  };
  check(sysSendmsg(socket, message, MSG_DONTWAIT | MSG_NOSIGNAL), 'sendmsg');
}

/**
 * Lets a socket take more before it makes its writer wait. Without CAP_NET_ADMIN it stays as it is.
 * @param socket - connected: its descriptor, or a socket of node:net, which tells its descriptor nobody but through
 * a field of its own.
 * @param bytes - of data; the kernel doubles them for what it keeps beside it.
 */
export function widenSendBuffer(socket: Socket | number, bytes: number): void {
  const handle = (socket as { readonly _handle?: { readonly fd?: number } })._handle;
  const fd = typeof socket === 'number' ? socket : (handle?.fd ?? -1);
  if (fd >= 0) sysSetsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, Int32Array.of(bytes), 4);
}

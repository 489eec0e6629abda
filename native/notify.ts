/**
 * Word to whoever started this process that it is ready, or stopping.
 *
 * WHY NOT node:dgram: it has no unix sockets.
 * SAFETY: the socket never blocks; buffers live in this function's frame until the call is over.
 * Source: sd_notify(3), unix(7).
 */
import { closeSync } from 'node:fs';
import { calls, check } from './libc.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const PATH_BYTES = 108;

const sysSocket = calls.func('int mydocker_socket(int domain, int type, int protocol)');
const sysSendto = calls.func(
  'long mydocker_sendto(int fd, const void *bytes, size_t length, int flags, const void *to, uint32_t size)',
);

/**
 * Sends one datagram to a unix socket.
 * @param path - of the socket; `@NAME` is one without a file.
 * @throws SyscallError ENOENT, ECONNREFUSED when nobody listens; EAGAIN when its queue is full. RangeError for a path
 * that no socket can have.
 */
export function notify(path: string, text: string): void {
  const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : path);
  if (name.length === 0 || name.length >= PATH_BYTES) throw new RangeError(`no socket is at ${path}`);
  const address = Buffer.alloc(2 + name.length);
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, 2);
  const data = Buffer.from(text);
  const fd = check(sysSocket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), 'socket');
  try {
    check(sysSendto(fd, data, data.length, MSG_NOSIGNAL, address, address.length), 'sendto', path);
  } finally {
    closeSync(fd);
  }
}

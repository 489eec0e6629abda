/**
 * Indexes of network interfaces.
 *
 * WHY NOT sysfs: /sys/class/net shows the namespace that sysfs was mounted in, which need not be the server's.
 * SAFETY: one ioctl on a socket of the C library's own; it waits for nobody (RCU in the kernel, no RTNL).
 */
import { cString, libc } from './libc.ts';

const sysIfNameToIndex = libc.func('unsigned int if_nametoindex(const uint8_t *name)');

/** @returns 0 when there is no interface of this name in the process's network namespace. */
export function interfaceIndex(name: string): number {
  return sysIfNameToIndex(cString(name)) as number;
}
